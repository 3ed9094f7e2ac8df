"""Signals over bars of the lake -> both fills -> one run artifact with its report.

A run lies in `runs/<run_id>/`: equity.parquet (one row per bar), trades.parquet (one row per round trip),
report.html and manifest.json. Its id comes from the bars (snapshot), the signals (model or file hash), the
settings and the code; the same run made again writes nothing.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from barlake import Lake
from barlake.artifacts import Artifact, artifact_id, code_hash, sha256_of
from barlake.durable import storage_errors
from barlake.errors import ConflictError, InvalidInputError
from barlake.keys import ArtifactKind, SessionFilter, parse_symbol
from barlake.ranges import Boundary, time_range
from barlake.sessions import session_of
from simulation_service import (
    accounts,
    capacity,
    charts,
    compiled,
    costs,
    drawdown,
    execution,
    full_kernel,
    kernel,
    market,
    metrics,
    ratios,
    report,
    rules,
    signals,
    ticks,
    trades,
)
from simulation_service.accounts import Accounts
from simulation_service.execution import Fill
from simulation_service.signals import Placed, place, read_predictions, read_signals_file
from simulation_service.ticks import cash_to_ticks, usd_text

__all__ = [
    "EQUITY_FILE",
    "REPORT_FILE",
    "TRADES_FILE",
    "Progress",
    "SimulationReport",
    "simulate_model",
    "simulate_signals",
]

EQUITY_FILE = "equity.parquet"
TRADES_FILE = "trades.parquet"
REPORT_FILE = "report.html"

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are behind it, and how many there are."""

_STEPS = ("reading signals", "reading bars", "replaying both fills", "writing the run", "done")


@dataclass(frozen=True)
class SimulationReport:
    """A finished run.

    Parameters
    ----------
    run
        Its artifact; `run.results` holds every figure of `as_dict`.
    is_new
        False if the run was made before and nothing was written now.
    """

    run: Artifact
    is_new: bool

    @property
    def run_id(self) -> str:
        """Sixteen hex digits that name the run."""
        return self.run.id

    @property
    def report_path(self) -> Path:
        """The HTML page."""
        return self.run.path / REPORT_FILE

    @property
    def results(self) -> dict[str, Any]:
        """The figures; `next_open`, `same_close` and `buy_and_hold` hold those of one account each."""
        return self.run.results

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it; final values are exact decimal text beside a number.

        The keys final_value, final_value_usd, fills and shares_bought are those of the fill asked for.
        """
        headline = self.results[self.results["fill"]]
        chosen = {name: headline[name] for name in ("final_value", "final_value_usd", "fills", "shares_bought")}
        return {
            "run_id": self.run_id,
            **chosen,
            **self.results,
            "created": self.is_new,
            "report": str(self.report_path),
        }


@dataclass(frozen=True)
class _Source:
    """Where signals come from: `inputs` go into the run's id, `name` is for eyes."""

    signals: pl.DataFrame
    kind: str
    name: str
    inputs: dict[str, str]


@dataclass(frozen=True)
class _Settings:
    symbol: str
    feed: str
    session: str
    cash_ticks: int
    fill: Fill


def simulate_model(
    lake: Lake,
    model_id: str,
    symbol: str,
    *,
    cash_usd: Decimal | float | str = 100_000,
    fill: str = Fill.NEXT_OPEN,
    start: Boundary = None,
    end: Boundary = None,
    progress: Progress | None = None,
) -> SimulationReport:
    """Trade a model's out-of-sample predictions on bars of its own feed and hours.

    Parameters
    ----------
    model_id
        Id of a model of this lake, or its first digits.
    symbol
        The symbol the model predicts.
    cash_usd
        Cash to start with; at most four decimals.
    fill
        Which of the two fills, `next_open` or `same_close`, is the headline; both are computed.
    start, end
        Narrow the simulated period [start, end), which is else that of the predictions.

    Raises
    ------
    NotFoundError
        If the lake has no such model, or no bars of the symbol from the model's feed.
    InvalidInputError
        If the symbol is not the model's, an option is not known, or no prediction lies in the period.
    LookAheadError
        If a prediction comes from a fit that had seen its future.
    FormatError
        If the file of predictions was changed after training.
    """
    notify = _notifier(progress)
    notify(0)
    model = lake.artifacts.find(ArtifactKind.MODEL, model_id)
    name = parse_symbol(symbol)
    found = read_predictions(lake.artifacts, model, symbol=name)
    digest = str(model.files[signals.PREDICTIONS_FILE]["sha256"])
    source = _Source(found, "model", model.id, {"model": model.id, "predictions_sha256": digest})
    chosen = _Settings(
        name,
        str(model.parameters["feed"]),
        SessionFilter.parse(model.parameters["session"]).value,
        cash_to_ticks(cash_usd),
        Fill.parse(fill),
    )
    return _simulate(lake, source, chosen, start, end, notify)


def simulate_signals(
    lake: Lake,
    signals_path: Path | str,
    symbol: str,
    *,
    cash_usd: Decimal | float | str = 100_000,
    fill: str = Fill.NEXT_OPEN,
    feed: str | None = None,
    session: str = SessionFilter.REGULAR,
    start: Boundary = None,
    end: Boundary = None,
    progress: Progress | None = None,
) -> SimulationReport:
    """Trade signals from a CSV or Parquet file, made by anything.

    Parameters
    ----------
    signals_path
        Columns timestamp (opening instant of the bar the signal was made from, with its zone) and signal.
    cash_usd, fill, start, end
        As in `simulate_model`.
    feed
        None takes `sip` before `iex` before the only other feed that holds the symbol.
    session
        Which bars take part: `regular`, `pre`, `post` or `all`.

    Raises
    ------
    NotFoundError
        If the lake has no bars of the symbol.
    InvalidInputError
        If the file or an option is wrong, or no signal belongs to a bar.
    LookAheadError
        If the file has a column fitted_before and a row lies before it.
    """
    notify = _notifier(progress)
    notify(0)
    name, path = parse_symbol(symbol), Path(signals_path)
    chosen = _Settings(
        name,
        lake.feed_of(name, feed),
        SessionFilter.parse(session).value,
        cash_to_ticks(cash_usd),
        Fill.parse(fill),
    )
    found = read_signals_file(path, symbol=name)
    source = _Source(found, "file", path.name, {"signals_sha256": sha256_of(path)})
    return _simulate(lake, source, chosen, start, end, notify)


def _simulate(
    lake: Lake, source: _Source, chosen: _Settings, start: Boundary, end: Boundary, notify: Callable[[int], None]
) -> SimulationReport:
    wanted = _within(source, start, end, chosen.feed)
    notify(1)
    first, last = wanted["timestamp"][0], wanted["timestamp"][-1] + dt.timedelta(minutes=1)
    sessions = wanted.select(session_of(pl.col("timestamp"), chosen.feed).alias("session"))["session"]
    covered = (chosen.symbol, sessions[0], sessions[-1] + dt.timedelta(days=1))
    snapshot = lake.snapshot(*covered, feed=chosen.feed)
    parameters = {
        "symbol": chosen.symbol,
        "feed": chosen.feed,
        "session": chosen.session,
        "cash_usd": usd_text(chosen.cash_ticks),
        "fill": chosen.fill.value,
        "start": first.isoformat(),
        "end": last.isoformat(),
    }
    inputs = {"bars": snapshot.as_dict(), **source.inputs}
    code = _code()
    run_id = artifact_id(parameters=parameters, inputs=inputs, code=code)
    made_before = lake.artifacts.get(ArtifactKind.RUN, run_id)
    if made_before is not None:
        notify(len(_STEPS) - 1)
        return SimulationReport(made_before, is_new=False)
    bars = lake.bars(chosen.symbol, first, last, session=chosen.session, feed=chosen.feed)
    if lake.snapshot(*covered, feed=chosen.feed).root_hash != snapshot.root_hash:
        raise ConflictError(f"bars of {chosen.symbol} were written while they were read: run again.")
    placed = place(wanted, bars)
    notify(2)
    four = Accounts.replayed(placed.bars, cash_ticks=chosen.cash_ticks)
    notify(3)
    with lake.artifacts.create(ArtifactKind.RUN, run_id, parameters=parameters, inputs=inputs, code=code) as draft:
        draft.results.update(_facts(source, chosen, placed) | four.results())
        equity, trips = four.equity_table(), four.trades_table()
        page = report.render(draft.results, equity, trips, run_id=run_id, inputs=inputs, code=code)
        with storage_errors(draft.path):
            equity.write_parquet(draft.path / EQUITY_FILE, compression="zstd")
            trips.write_parquet(draft.path / TRADES_FILE, compression="zstd")
            (draft.path / REPORT_FILE).write_text(page, encoding="utf-8")
    lake.publish()
    notify(4)
    return SimulationReport(lake.artifacts.find(ArtifactKind.RUN, run_id), is_new=True)


def _facts(source: _Source, chosen: _Settings, placed: Placed) -> dict[str, Any]:
    """What the figures are about: settings, period and how signals and bars met."""
    stamps, sessions = placed.bars["timestamp"], placed.bars["session"]
    return {
        "symbol": chosen.symbol,
        "feed": chosen.feed,
        "session": chosen.session,
        "cash_usd": usd_text(chosen.cash_ticks),
        "fill": chosen.fill.value,
        "first_bar": stamps[0].isoformat(),
        "last_bar": stamps[-1].isoformat(),
        "sessions": sessions.n_unique(),
        "bars": placed.bars.height,
        "signals_from": source.kind,
        "signals_name": source.name,
        "bars_without_signal": placed.bars_without_signal,
        "unmatched_signals": placed.unmatched_signals,
    }


def _notifier(progress: Progress | None) -> Callable[[int], None]:
    def notify(step: int) -> None:
        if progress is not None:
            progress(_STEPS[step], step, len(_STEPS) - 1)

    return notify


def _within(source: _Source, start: Boundary, end: Boundary, feed: str) -> pl.DataFrame:
    """Signals of [start, end); dates are sessions of the feed."""
    span = time_range(start, end, feed)
    found = source.signals
    if span.start is not None:
        found = found.filter(pl.col("timestamp") >= span.start)
    if span.end is not None:
        found = found.filter(pl.col("timestamp") < span.end)
    if found.is_empty():
        held = source.signals["timestamp"]
        spans = f"they run from {held[0]} to {held[-1]}" if held.len() else "there are none at all"
        raise InvalidInputError(
            f"no signal of {source.kind} {source.name!r} lies in [{start or 'open'}, {end or 'open'}): {spans}."
        )
    return found


@functools.cache
def _code() -> str:
    """Hash of everything that shapes a run, the page's template included."""
    modules = code_hash(
        accounts,
        capacity,
        charts,
        costs,
        drawdown,
        compiled,
        execution,
        full_kernel,
        kernel,
        market,
        metrics,
        ratios,
        report,
        rules,
        signals,
        ticks,
        trades,
        sys.modules[__name__],
    )
    return hashlib.sha256(f"{modules}\0{report.template_text()}".encode()).hexdigest()
