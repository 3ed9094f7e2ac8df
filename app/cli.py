"""`barlake`: the command line. Each command asks one service and prints what it answers.

Results go to stdout, progress and errors to stderr. Exit code 0 is success, 1 an error that the message
explains, 2 wrong usage, 3 (of `update`) partial success, 130 Ctrl-C.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import typer

from app.commands import (
    actions,
    agents,
    audit,
    care,
    dashboard,
    doctor,
    export,
    feature_quality,
    fetch,
    history,
    init,
    jobs,
    keys,
    lake,
    live,
    models,
    operations,
    pnl,
    prove,
    quality,
    records,
    register,
    repro,
    research,
    runs,
    scenarios,
    schedule,
    securities,
    serve,
    simulation,
    sources,
    strategies,
    sweep,
    training,
    trials,
    update,
    version,
)
from app.console import notice
from barlake.errors import BarlakeError
from barlake.settings import Settings, load_settings

__all__ = ["application", "run"]

_FAILED, _INTERRUPTED = 1, 130

application = typer.Typer(
    name="barlake",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

application.callback(invoke_without_command=True)(version.front)
application.command("demo")(research.demo)
application.command("init")(init.init)
application.command("import")(lake.import_)
application.command("ingest")(sources.ingest)
application.command("update")(update.update)
application.command("live")(live.live)
application.add_typer(securities.application, name="securities")
application.add_typer(fetch.application, name="fetch")
application.add_typer(schedule.application, name="schedule")
application.command("gaps")(lake.gaps)
application.command("bars")(lake.bars)
application.add_typer(export.application, name="export")
application.add_typer(register.application, name="register")
application.command("symbols")(lake.symbols)
application.command("coverage")(lake.coverage)
application.command("quality")(quality.quality)
application.command("sql")(lake.sql)
application.command("daily")(records.daily)
application.command("news")(records.news)
application.command("macro")(records.macro)
application.command("revisions")(history.revisions)
application.command("rollup")(history.rollup)
application.command("snapshot")(history.snapshot)
application.command("diff")(history.diff)
application.add_typer(actions.application, name="actions")
application.command("verify")(care.verify)
application.command("repair")(care.repair)
application.command("rebuild")(care.rebuild)
application.command("backup")(care.backup)
application.command("restore")(care.restore)
application.command("vacuum")(care.vacuum)
application.command("retention")(care.retention)
application.command("stats")(care.stats)
application.command("features")(research.features)
application.command("feature-quality")(feature_quality.feature_quality)
application.add_typer(prove.application, name="prove")
application.command("train")(training.train)
application.command("sweep")(sweep.sweep)
application.command("sweeps")(sweep.sweeps)
application.command("simulate")(simulation.simulate)
application.command("pnl")(pnl.pnl)
application.add_typer(runs.application, name="runs")
application.command("audit")(audit.audit)
application.add_typer(scenarios.application, name="scenarios")
application.command("montecarlo")(scenarios.montecarlo)
application.command("events")(scenarios.events)
application.add_typer(models.application, name="models")
application.add_typer(strategies.application, name="strategies")
application.command("trials")(trials.trials)
application.command("repro")(repro.repro)
application.command("emulate")(sources.emulate)
application.command("worker")(jobs.worker)
application.command("backfill")(jobs.backfill)
application.add_typer(agents.application, name="agents")
application.add_typer(jobs.application, name="jobs")
application.command("doctor")(doctor.doctor)
application.command("serve")(serve.serve)
application.command("dashboard")(dashboard.dashboard)
application.add_typer(keys.application, name="keys")
application.command("watch")(operations.watch)
application.command("logs")(operations.logs)
application.add_typer(operations.alerts, name="alerts")
application.add_typer(operations.metrics, name="metrics")


class _FirstRecord(logging.Handler):
    """Sets the log up when there is something to log: most commands say nothing, and need not wait for that."""

    is_placeholder = True

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record to the log as it is from now on."""
        from app.operations.logs import configure_logging  # noqa: PLC0415 - a tenth of a second

        configure_logging(_settings(), agent="command", for_person=True).handle(record)


@contextlib.contextmanager
def _log() -> Iterator[None]:
    """The log of one command line; afterwards the process's own is as it was."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    root.addHandler(_FirstRecord())
    root.setLevel((_settings().log_level or "warning").upper())
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)


def _settings() -> Settings:
    """The settings, or none of them where they are wrong: the command itself says that."""
    try:
        return load_settings()
    except BarlakeError:
        return Settings.model_construct()


@functools.cache
def _commands(asked: str) -> Callable[..., Any]:
    """What Typer makes of the application; of one command alone where one is asked for by its name.

    Typer reads the signature of every command it is given, a quarter of a second for all of them.
    """
    chosen = copy.copy(application)
    chosen.registered_commands = [one for one in application.registered_commands if one.name == asked]
    chosen.registered_groups = [one for one in application.registered_groups if one.name == asked]
    if not chosen.registered_commands and not chosen.registered_groups:
        chosen = application
    return typer.main.get_command(chosen)


def run(arguments: Sequence[str]) -> int:
    """Exit code of a command line; whatever goes wrong on purpose ends in one message on stderr."""
    try:
        with _log():
            _commands(next(iter(arguments), ""))(args=list(arguments), prog_name="barlake")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BarlakeError as error:
        notice(f"error: {error}")
        code = _FAILED
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else f"the system refused: {error}"
        notice(f"error: {said}. Mend it and run the same command again.")
        code = _FAILED
    if code == _INTERRUPTED:
        notice("stopped: what was finished is kept, nothing is half written. Run the same command again to go on.")
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
