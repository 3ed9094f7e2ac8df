"""`barlake doctor`: everything the work depends on, looked at one by one, each with what to do about it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from app.operations.durations import age
from app.operations.operations import Operations, open_operations
from app.operations.rules import DISK_FULL
from barlake.clock import clock_of
from barlake.errors import BarlakeError, NotFoundError
from barlake.lake import Lake, open_lake
from barlake.records import utc_now
from barlake.settings import IEX_CLOUD_NOTICE, Settings, load_settings
from barlake.stores import folder_of

if TYPE_CHECKING:
    from ingest_service.probe import Answer

__all__ = ["Finding", "Outcome", "check_up"]

_NAMED_PACKAGES = ("duckdb", "polars", "pyarrow", "alpaca-py", "dbos")
_EXTRAS = {
    "postgres": ("psycopg",), "s3": ("fsspec",), "otel": ("opentelemetry.exporter.otlp.proto.http",),
    "yahoo": ("yfinance",), "alphavantage": ("alpha_vantage",), "massive": ("massive",), "fred": ("fredapi",),
    "ccxt": ("ccxt",), "delta": ("deltalake",),
}  # fmt: skip
_SKEW_WARNS_S, _SKEW_FAILS_S = 2.0, 30.0
_PROBE_BYTES = 1 << 20
_SYMBOL = "SPY"
_OK, _REFUSED, _SERVER_FAULT = 200, (401, 403), 500


class Outcome(StrEnum):
    """How a thing was found."""

    OK = "ok"
    WARN = "warn"  # the work goes on, less well
    FAIL = "fail"  # something cannot work before it is mended


@dataclass(frozen=True)
class Finding:
    """One thing looked at: its name, how it was found, what was seen, and what to do."""

    name: str
    outcome: Outcome
    seen: str
    advice: str = ""


def check_up(root: str | None) -> Iterator[Finding]:
    """What is found, one by one; never raises for what is to be found."""
    yield _versions()
    try:
        settings = load_settings(root)
    except BarlakeError as error:
        yield Finding("settings", Outcome.FAIL, str(error), "mend the variable; nothing else can be looked at before")
        return
    yield _settings(settings)
    yield _extras(settings)
    yield _disk(settings)
    with contextlib.ExitStack() as stack:
        try:
            lake = stack.enter_context(open_lake(settings=settings))
        except BarlakeError as error:
            yield Finding("lake", Outcome.FAIL, str(error))
        else:
            yield from _lake(lake)
        try:
            operations = stack.enter_context(open_operations(settings))
        except BarlakeError as error:
            yield Finding("operations database", Outcome.FAIL, str(error))
        else:
            yield _queue(settings)
            yield from _work(operations)
    yield from _source(settings, needs_key=(watch := _watch_list(settings)).outcome is Outcome.OK)
    yield watch


def _versions() -> Finding:
    found = [f"{name} {importlib.metadata.version(name)}" for name in ("barlake", *_NAMED_PACKAGES)]
    return Finding("versions", Outcome.OK, f"Python {platform.python_version()}, {', '.join(found)}")


def _settings(settings: Settings) -> Finding:
    if settings.iex_token is not None:
        return Finding("settings", Outcome.WARN, "IEX_TOKEN is set", IEX_CLOUD_NOTICE)
    place = "the environment and .env" if Path(".env").is_file() else "the environment; no .env is here"
    return Finding("settings", Outcome.OK, f"read from {place}; the lake is {settings.root}")


def _extras(settings: Settings) -> Finding:
    here = {name for name, modules in _EXTRAS.items() if all(_is_there(module) for module in modules)}
    wanted = {
        "postgres": settings.database_url is not None or settings.operations_url is not None,
        "otel": bool(settings.otlp_endpoint),
    }
    lacking = [name for name, is_wanted in wanted.items() if is_wanted and name not in here]
    seen = f"installed: {', '.join(sorted(here)) or 'none'}"
    if lacking:
        advice = f"the settings ask for it: pip install 'barlake[{','.join(lacking)}]'"
        return Finding("extras", Outcome.FAIL, f"{seen}; missing: {', '.join(lacking)}", advice)
    return Finding("extras", Outcome.OK, seen)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _disk(settings: Settings) -> Finding:
    folder = folder_of(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_probe(folder)
        found = shutil.disk_usage(folder)
    except (OSError, BarlakeError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        return Finding(
            "disk", Outcome.FAIL, f"{folder} takes no more bytes: {said}",
            "free space (`barlake vacuum`, `barlake retention`) or mend the permissions; what is stored is safe, and "
            "what could not be stored is asked for again",
        )  # fmt: skip
    share = 1 - found.free / found.total if found.total else 1.0
    seen = f"{share:.0%} full, {found.free / 1e9:,.1f} GB free at {folder}"
    if share > DISK_FULL:
        return Finding(
            "disk", Outcome.WARN, seen, "free space: `barlake vacuum`, `barlake retention`, or a larger disk"
        )
    return Finding("disk", Outcome.OK, seen)


def _write_probe(folder: Path) -> None:
    """Write a megabyte as a commit would, to the disk itself, and take it out again."""
    path = folder / f".doctor-{os.getpid()}"
    try:
        with path.open("wb") as stream:
            stream.write(bytes(_PROBE_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    finally:
        path.unlink(missing_ok=True)


def _lake(lake: Lake) -> Iterator[Finding]:
    try:
        symbols = lake.symbols()
        last = lake.manifest.last_commit_at()
    except BarlakeError as error:
        yield Finding("manifest", Outcome.FAIL, str(error), "`barlake rebuild` makes a new manifest from the files")
        return
    kind = lake.manifest.engine.dialect.name
    yield Finding("lake", Outcome.OK, f"{lake.store.name} opens, its manifest is in {kind}")
    if last is None:
        yield Finding("manifest", Outcome.OK, "no bars yet")
        return
    bars, feeds = int(symbols["bars"].sum()), ", ".join(symbols["feed"].unique().sort())
    seen = f"{symbols.height:,} symbols, {bars:,} bars of {feeds}; last commit {last:%Y-%m-%d %H:%M:%S}Z"
    missing = _missing_file(lake)
    if missing:
        yield Finding("manifest", Outcome.FAIL, f"{missing} counts and is not there", "`barlake verify`, then `repair`")
    else:
        yield Finding("manifest", Outcome.OK, seen)


def _missing_file(lake: Lake) -> str | None:
    """A newest file of a pair that is not where it should be; all of them are `barlake verify`'s matter."""
    for feed, symbol in lake.symbols().select("feed", "symbol").head(20).iter_rows():
        for path, _rows in lake.manifest.last_files(feed=feed, symbol=symbol, rows=1):
            if not lake.store.exists(path):
                return path
    return None


def _queue(settings: Settings) -> Finding:
    from app.jobs.queue import open_queue  # noqa: PLC0415 - DBOS is a second of import

    try:
        with open_queue(settings) as queue:
            counts = queue.counts()
            paused = queue.paused_agents()
    except BarlakeError as error:
        return Finding("queue", Outcome.FAIL, str(error))
    states: dict[str, int] = {}
    for (_agent, state), count in counts.items():
        states[str(state)] = states.get(str(state), 0) + count
    seen = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items())) or "empty"
    if states.get("failed"):
        return Finding(
            "queue", Outcome.WARN, seen, "`barlake jobs list --status failed` says why; `barlake jobs retry`"
        )
    if paused:
        return Finding("queue", Outcome.WARN, f"{seen}; paused: {', '.join(paused)}", "`barlake jobs resume` the agent")
    return Finding("queue", Outcome.OK, seen)


def _work(operations: Operations) -> Iterator[Finding]:
    try:
        beats, active = operations.heartbeats.all(), operations.alerts.active()
        newest, now = operations.logs.tail(limit=1), operations.heartbeats.now()
    except BarlakeError as error:
        yield Finding("operations database", Outcome.FAIL, str(error))
        return
    kind = operations.engine.dialect.name
    last = f"last log record {newest[0].logged_at:%Y-%m-%d %H:%M:%S}Z" if newest else "nothing logged yet"
    yield Finding("operations database", Outcome.OK, f"{kind}; {last}")
    silent = [f"{one.agent} of {one.worker}" for one in beats if one.is_stalled(now)]
    alive = sorted({one.worker for one in beats if not one.is_stalled(now)})
    if silent:
        advice = "start `barlake worker` there again; what it was doing is kept"
        yield Finding("workers", Outcome.WARN, f"silent: {', '.join(silent)}", advice)
    elif not alive:
        yield Finding("workers", Outcome.WARN, "none runs", "start one: `barlake worker`")
    else:
        agents = ", ".join(sorted({one.agent for one in beats}))
        yield Finding("workers", Outcome.OK, f"{len(alive)} at work: {', '.join(alive)} ({agents})")
    if active:
        seen = f"{len(active)} active: {', '.join(one.key for one in active)}"
        yield Finding(
            "alerts", Outcome.WARN, seen, "`barlake alerts list` says what each is about; they clear themselves"
        )
    else:
        told = ", ".join(("the log", *operations.alerts.channels))
        yield Finding("alerts", Outcome.OK, f"none is active; told: {told}")


def _watch_list(settings: Settings) -> Finding:
    from ingest_service.watch_list import find_watch_list, load_watch_list  # noqa: PLC0415 - only here

    try:
        path = find_watch_list(settings, folder_of(settings))
        found = load_watch_list(path)
    except NotFoundError as error:
        return Finding("watch list", Outcome.WARN, str(error))
    except BarlakeError as error:
        return Finding("watch list", Outcome.FAIL, str(error), "mend the line, then `barlake securities check`")
    enabled = sum(one.enabled for one in found.securities)
    return Finding("watch list", Outcome.OK, f"{path}: {enabled} of {len(found.securities)} securities are on")


# --- Alpaca ----------------------------------------------------------------------------------------


def _source(settings: Settings, *, needs_key: bool) -> Iterator[Finding]:
    from ingest_service.alpaca import data_url, resolve_feed  # noqa: PLC0415 - the client library is a second of import
    from ingest_service.probe import ask_alpaca  # noqa: PLC0415 - the same

    base_url, feed = data_url(settings.alpaca_data_url), resolve_feed(settings.alpaca_feed)
    missing = [
        name
        for name, value in (
            ("ALPACA_API_KEY_ID", settings.alpaca_key_id),
            ("ALPACA_API_SECRET_KEY", settings.alpaca_secret_key),
        )
        if value is None
    ]
    if missing:
        advice = "set both in .env or the environment (a free account at https://alpaca.markets has them)"
        outcome = Outcome.FAIL if needs_key else Outcome.WARN
        yield Finding("key", outcome, f"{' and '.join(missing)} not set: nothing can be fetched from Alpaca", advice)
    answer = ask_alpaca(base_url, settings, feed=feed, symbol=_SYMBOL)
    if answer.status is None:
        outcome = Outcome.WARN if missing else Outcome.FAIL
        advice = "check the network, a proxy (HTTPS_PROXY), and ALPACA_DATA_URL; what is stored can be read without"
        yield Finding("network", outcome, f"no answer from {base_url}: {answer.error}", advice)
        return
    yield Finding("network", Outcome.OK, f"{base_url} answers in {answer.seconds * 1000:.0f} ms")
    if not missing:
        yield from _account(settings, base_url, feed, answer)
    yield _clock(settings, answer)
    yield _stream(settings)


def _account(settings: Settings, base_url: str, feed: str, answer: Answer) -> Iterator[Finding]:
    from ingest_service.probe import NO_RECENT_SIP  # noqa: PLC0415 - as above

    said = f"HTTP {answer.status}" + (f", {answer.message}" if answer.message else "")
    if answer.status in _REFUSED and answer.code != NO_RECENT_SIP:
        advice = (
            "copy key and secret anew from the account's page, without blanks; a new key needs a minute; a key of "
            "another service or of an emulator is none here"
        )
        yield Finding("key", Outcome.FAIL, f"{base_url} refuses the key ({said})", advice)
        return
    if answer.status is not None and answer.status >= _SERVER_FAULT:
        yield Finding("key", Outcome.WARN, f"not known: the server has a fault ({said})", "try again in a minute")
        return
    yield Finding("key", Outcome.OK, "accepted")
    if answer.code == NO_RECENT_SIP:
        seen = "no SIP of the last 15 minutes in this plan: history is SIP, 16 minutes late, and live bars are IEX"
        insists = settings.alpaca_live_feed.lower() == "sip"
        advice = "ALPACA_LIVE_FEED=iex is what it may hear; Algo Trader Plus has SIP up to now" if insists else ""
        yield Finding("feed", Outcome.WARN if insists else Outcome.OK, seen, advice)
    elif answer.status == _OK:
        yield Finding("feed", Outcome.OK, f"{feed} up to now")
    else:
        yield Finding("feed", Outcome.WARN, f"{feed!r} was not given ({said})", "check ALPACA_FEED and ALPACA_DATA_URL")


def _clock(settings: Settings, answer: Answer) -> Finding:
    if answer.ahead is None:
        return Finding("clock", Outcome.WARN, "the server did not say what time it is", "")
    clock = clock_of(settings)
    made_up = settings.clock_file is not None
    skew = answer.ahead.total_seconds() + ((utc_now() - clock.now()).total_seconds() if made_up else 0.0)
    # Of a made-up clock, the time of the answer itself is minutes.
    allowance = max(clock.speed, 1.0)
    whose = f"the clock of {settings.clock_file}" if made_up else "this machine's clock"
    seen = f"{whose} is {age(abs(skew))} {'behind' if skew > 0 else 'ahead of'} the server's"
    if abs(skew) <= _SKEW_WARNS_S * allowance:
        return Finding("clock", Outcome.OK, f"{whose} agrees with the server's to about a second")
    advice = (
        "set the clock (Linux: `timedatectl set-ntp true`; a suspended virtual machine: restart its time service): "
        "sessions would be asked for before they are there, or too late"
    )
    return Finding("clock", Outcome.FAIL if abs(skew) > _SKEW_FAILS_S * allowance else Outcome.WARN, seen, advice)


def _stream(settings: Settings) -> Finding:
    from ingest_service.live.stream import greet, stream_url  # noqa: PLC0415 - as above

    if settings.alpaca_stream.lower() == "off":
        return Finding("stream", Outcome.OK, "ALPACA_STREAM=off: live bars are polled")
    url = stream_url(settings, settings.alpaca_live_feed.lower())
    error = greet(url)
    if error is None:
        return Finding("stream", Outcome.OK, f"{url} greets")
    advice = "a proxy or firewall may refuse websockets; without the stream, live bars are polled"
    return Finding("stream", Outcome.WARN, f"{url} does not greet: {error}", advice)
