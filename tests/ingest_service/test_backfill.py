"""The backfill against the emulator over HTTP: what is asked for, what is kept, what is never asked twice."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests
from pydantic import SecretStr

from barlake import Lake
from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.records import AnswerStatus, Cursor
from barlake.sessions import Calendar, session_of
from barlake.settings import Settings
from barlake.testing import make_bars, temporary_lake
from barlake.writer import Progress
from ingest_service import backfill as module
from ingest_service import pages
from ingest_service.alpaca import AlpacaSource
from ingest_service.backfill import BackfillReport, BackfillStep, backfill
from ingest_service.emulator import EmulatorConfig, serve
from ingest_service.throttle import Throttle

JANUARY = [dt.date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 10, 11)]
FEBRUARY = [dt.date(2024, 2, day) for day in (1, 2)]
ROWS = 390 * (len(JANUARY) + len(FEBRUARY))
START, END = "2024-01-02", "2024-02-03"
DENSE, THIN, LATE = "SPY", "FXY", "INDA"


@dataclass
class Emulator:
    """A running emulator and what it was asked for."""

    url: str
    config: EmulatorConfig

    def asked(self) -> list[dict[str, str]]:
        """Query of every request for bars, oldest first."""
        log = requests.get(f"{self.url}/_emu/log", timeout=60).json()
        return [entry["query"] for entry in log]

    def order(self, path: str, body: object = None) -> None:
        requests.post(f"{self.url}/_emu/{path}", json=body, timeout=60).raise_for_status()

    def source(self, **options: Any) -> AlpacaSource:
        keys = {
            "alpaca_key_id": SecretStr(self.config.key_id),
            "alpaca_secret_key": SecretStr(self.config.secret_key),
            "alpaca_data_url": self.url,
        }
        settings = Settings(_env_file=None).model_copy(update=keys)
        return AlpacaSource.from_settings(settings, **{"backoff_seconds": 0.01, **options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SPY with every regular minute, FXY with a third of them, INDA from the third session on."""
    path = tmp_path_factory.mktemp("bars")
    sessions = [*JANUARY, *FEBRUARY]
    make_bars(sessions).write_parquet(path / f"{DENSE}.parquet")
    make_bars(sessions, seed=1, keep=0.3).write_parquet(path / f"{THIN}.parquet")
    make_bars(sessions[2:], seed=2).write_parquet(path / f"{LATE}.parquet")
    return path


@pytest.fixture(scope="module")
def _running(folder: Path) -> Iterator[Emulator]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        config = EmulatorConfig(bars=folder, requests_per_window=10_000)
        with serve(config, calendar=Calendar.default()) as url:
            yield Emulator(url, config)


@pytest.fixture
def emulator(_running: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    _running.order("reset")
    return _running


@pytest.fixture
def serve_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Emulator]]:
    """An emulator of its own for one frame of SPY, or with other settings."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with contextlib.ExitStack() as stack:

        def start(frame: pl.DataFrame | None = None, **settings: Any) -> Emulator:
            if frame is not None:
                frame.write_parquet(tmp_path / f"{DENSE}.parquet")
                settings["bars"] = tmp_path
            config = EmulatorConfig(**settings)
            return Emulator(stack.enter_context(serve(config, calendar=Calendar.default())), config)

        yield start


@pytest.fixture
def lake() -> Iterator[Lake]:
    with temporary_lake() as lake:
        yield lake


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 500 bars: a month takes several."""
    monkeypatch.setattr(pages, "PAGE_LIMIT", 500)


def fill(
    lake: Lake, emulator: Emulator, *symbols: str, start: str = START, end: str = END, **options: Any
) -> BackfillReport:
    source = options.pop("source", None) or emulator.source()
    return backfill(lake, source, symbols or [DENSE], start, end, **{"feed": "sip", **options})


def stop_after(count: int, stop: threading.Event) -> Callable[[BackfillStep], None]:
    """What sets the event once so many pages are stored."""

    def on_step(step: BackfillStep) -> None:
        if step.pages >= count:
            stop.set()

    return on_step


def same_values(ours: pl.DataFrame, theirs: pl.DataFrame) -> bool:
    ours = ours.select(theirs.columns)
    return ours.equals(theirs.cast(ours.schema))


def window(query: dict[str, str]) -> tuple[str, str]:
    return query["start"][:10], query["end"][:10]


# --- what arrives ------------------------------------------------------------------------------


def test_the_lake_holds_row_for_row_what_the_source_has(lake: Lake, emulator: Emulator, folder: Path) -> None:
    fill(lake, emulator, DENSE, THIN)
    for symbol in (DENSE, THIN):
        assert same_values(lake.bars(symbol), pl.read_parquet(folder / f"{symbol}.parquet"))


def test_the_report_counts_what_was_done(lake: Lake, emulator: Emulator) -> None:
    report = fill(lake, emulator)
    (one,) = report.symbols
    sessions = lake.calendar.in_range(dt.date(2024, 1, 2), dt.date(2024, 2, 3)).height
    assert (one.expected, one.sessions_asked) == (sessions, sessions)
    assert (one.written.inserted, one.bars_held, report.not_yet) == (ROWS, ROWS, 0)


def test_a_symbol_named_twice_is_fetched_once(lake: Lake, emulator: Emulator) -> None:
    report = fill(lake, emulator, DENSE, DENSE.lower(), f" {DENSE} ")
    assert [one.symbol for one in report.symbols] == [DENSE]


def test_the_catalogue_shows_what_was_written(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator)
    assert lake.sql("select count(*) from bars").item() == ROWS


def test_a_long_run_over_short_symbols_keeps_the_catalogue_fresh(
    lake: Lake, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PUBLISH_EVERY_S", 0.05)
    shown: list[int] = []

    def on_step(step: BackfillStep) -> None:
        if step.symbol == THIN and step.pages == 1 and not shown:
            shown.append(lake.sql(f"select count(*) from bars where symbol = '{DENSE}'").item())

    fill(lake, emulator, DENSE, THIN, on_step=on_step)
    assert shown == [ROWS]


# --- what is asked for --------------------------------------------------------------------------


def test_a_second_run_requests_nothing(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator, DENSE, THIN)
    before = len(emulator.asked())
    again = fill(lake, emulator, DENSE, THIN)
    assert len(emulator.asked()) == before
    assert [one.requests for one in again.symbols] == [0, 0]


def test_a_second_run_writes_no_file(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator)
    before = {path: path.stat().st_mtime_ns for path in (lake.root / "parquet").rglob("*")}
    fill(lake, emulator)
    assert {path: path.stat().st_mtime_ns for path in (lake.root / "parquet").rglob("*")} == before


def test_a_later_end_requests_only_the_new_sessions(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator, end="2024-01-09")
    emulator.order("reset")
    fill(lake, emulator, end="2024-01-12")
    assert [window(query) for query in emulator.asked()] == [("2024-01-09", "2024-01-12")]


def test_an_earlier_start_requests_only_the_new_sessions(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator, start="2024-01-05", end="2024-01-12")
    emulator.order("reset")
    fill(lake, emulator, end="2024-01-12")
    assert [window(query) for query in emulator.asked()] == [("2024-01-02", "2024-01-05")]


def test_each_month_is_a_request_of_its_own(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator, LATE, start="2024-01-04")
    asked = {window(query) for query in emulator.asked()}
    assert {("2024-01-04", "2024-02-01"), ("2024-02-01", "2024-02-03")} <= asked


def test_an_unknown_symbol_is_a_recorded_outcome_and_not_asked_for_again(lake: Lake, emulator: Emulator) -> None:
    (one,) = fill(lake, emulator, "ZZZZ").symbols
    assert (one.bars_held, one.written.inserted) == (0, 0)
    assert set(lake.manifest.answers(symbol="ZZZZ")["status"]) == {AnswerStatus.EMPTY}
    assert fill(lake, emulator, "ZZZZ").symbols[0].requests == 0


def test_sessions_before_a_symbol_existed_are_asked_for_once(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator, LATE, end="2024-01-12")
    said = lake.manifest.answers(symbol=LATE)
    assert said["status"].to_list() == [AnswerStatus.EMPTY] * 2 + [AnswerStatus.COMPLETE] * 6
    assert set(said["attempts"]) == {1}


def test_a_symbol_alpaca_cannot_read_is_the_callers_to_mend(lake: Lake, emulator: Emulator) -> None:
    with pytest.raises(InvalidInputError, match=r"symbol 'BRK-B' is not one Alpaca can read.*'BRK\.B'"):
        fill(lake, emulator, "BRK-B")


def test_a_reversed_range_is_refused_before_anything_is_asked(lake: Lake, emulator: Emulator) -> None:
    with pytest.raises(InvalidInputError, match="start"):
        fill(lake, emulator, start="2024-02-01", end="2024-01-01")
    assert emulator.asked() == []


def test_made_up_bars_asked_for_as_sip_are_refused(lake: Lake, serve_folder: Callable[..., Emulator]) -> None:
    emulator = serve_folder(symbols=("SYNA",))
    with pytest.raises(InvalidInputError, match="invalid feed: sip"):
        fill(lake, emulator, "SYNA")
    assert lake.symbols().is_empty()


# --- sessions that have not ended ---------------------------------------------------------------


def at(emulator: Emulator, moment: str) -> AlpacaSource:
    """A source whose clock, like the emulator's, shows that instant."""
    now = dt.datetime.fromisoformat(moment)
    emulator.order("clock", {"now": now.isoformat()})
    throttle = Throttle(10_000, wall_clock=now.timestamp)
    return emulator.source(throttle=throttle)


def test_sessions_that_have_not_ended_are_not_asked_for(lake: Lake, emulator: Emulator) -> None:
    source = at(emulator, "2024-01-04T15:00:00-05:00")
    report = fill(lake, emulator, source=source, end="2024-01-12")
    assert report.not_yet == 6
    assert lake.bars(DENSE)["session"].unique().sort().to_list() == JANUARY[:2]
    assert all(query["end"] <= "2024-01-04T05:00:00Z" for query in emulator.asked())


def test_a_session_waits_for_its_extended_hours_and_the_embargo(lake: Lake, emulator: Emulator) -> None:
    report = fill(lake, emulator, source=at(emulator, "2024-01-03T20:15:00-05:00"), end="2024-01-12")
    assert report.not_yet == 7
    report = fill(lake, emulator, source=at(emulator, "2024-01-03T20:16:00-05:00"), end="2024-01-12")
    assert report.not_yet == 6
    assert report.symbols[0].written.inserted == 390


def test_no_window_ends_inside_the_embargo(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator, source=at(emulator, "2024-01-03T20:20:00-05:00"), end="2024-01-12")
    assert max(query["end"] for query in emulator.asked()) < "2024-01-04T01:05:00Z"


def test_a_session_is_asked_for_once_it_has_ended(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator, source=at(emulator, "2024-01-04T15:00:00-05:00"), end="2024-01-05")
    report = fill(lake, emulator, source=at(emulator, "2024-01-05T01:00:00-05:00"), end="2024-01-05")
    assert report.symbols[0].sessions_asked == 1
    assert lake.bars(DENSE)["session"].max() == dt.date(2024, 1, 4)


# --- pages and their tokens ----------------------------------------------------------------------


@pytest.mark.usefixtures("small_pages")
def test_a_stopped_run_goes_on_at_the_page_it_had_reached(lake: Lake, emulator: Emulator) -> None:
    stop = threading.Event()
    with pytest.raises(SourceError, match="run the same command again"):
        fill(lake, emulator, source=emulator.source(stop=stop), on_step=stop_after(3, stop))
    first = emulator.asked()
    assert len(first) == 3
    emulator.order("reset")
    report = fill(lake, emulator)
    tokens = [query.get("page_token") for query in emulator.asked()]
    assert tokens[0] is not None
    assert not set(tokens) & {query.get("page_token") for query in first if "page_token" in query}
    assert report.symbols[0].bars_held == ROWS


@pytest.mark.usefixtures("small_pages")
def test_an_interrupted_run_has_stored_the_pages_it_got(lake: Lake, emulator: Emulator) -> None:
    def on_step(step: BackfillStep) -> None:
        if step.pages == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(lake, emulator, on_step=on_step)
    assert lake.bars(DENSE).height == 1000
    assert lake.manifest.answers().is_empty()
    assert lake.sql("select count(*) from bars").item() == 1000


@pytest.mark.usefixtures("small_pages")
def test_runs_stopped_after_every_page_ask_for_each_page_once(lake: Lake, emulator: Emulator, folder: Path) -> None:
    for _ in range(20):
        stop = threading.Event()
        with contextlib.suppress(SourceError):
            fill(lake, emulator, end="2024-01-12", source=emulator.source(stop=stop), on_step=stop_after(1, stop))
    theirs = pl.read_parquet(folder / f"{DENSE}.parquet").head(390 * len(JANUARY))
    assert same_values(lake.bars(DENSE), theirs)
    assert len(emulator.asked()) == -(-theirs.height // 500)


@pytest.mark.usefixtures("small_pages")
def test_a_forgotten_page_token_starts_the_window_over(lake: Lake, emulator: Emulator) -> None:
    key = f"bars/sip/{DENSE}/2024-01-02/2024-02-01"
    lost = Progress(cursor=Cursor(key, "bm90IGEgdG9rZW4=", 1, 500))
    lake.writer.finalise([], feed="sip", symbol=DENSE, source="alpaca", progress=lost)
    report = fill(lake, emulator)
    assert [query.get("page_token") for query in emulator.asked()][:2] == ["bm90IGEgdG9rZW4=", None]
    assert report.symbols[0].bars_held == ROWS


@pytest.mark.usefixtures("small_pages")
def test_a_failure_after_the_kept_page_does_not_throw_the_progress_away(lake: Lake, emulator: Emulator) -> None:
    stop = threading.Event()
    with pytest.raises(SourceError):
        fill(lake, emulator, source=emulator.source(stop=stop), on_step=stop_after(1, stop))
    with pytest.raises(SourceError, match="after 1 attempt"):
        fill(lake, emulator, source=emulator.source(attempts=1), on_step=break_after(1, emulator))
    kept = lake.manifest.cursor(f"bars/sip/{DENSE}/2024-01-02/2024-02-01")
    assert kept is not None
    assert (kept.pages, kept.rows) == (2, 1000)


# With this seed the first request of a block of two is the disturbed one.
EARLY = next(seed for seed in range(100) if random.Random(f"{seed}/0").randrange(2) == 0)  # noqa: S311 - no secret


def break_after(count: int, emulator: Emulator) -> Callable[[BackfillStep], None]:
    """What makes the emulator answer 500 to every second request once so many pages are stored."""

    def on_step(step: BackfillStep) -> None:
        if step.pages == count:
            emulator.order("faults", {"faults": ["server_error"], "period": 2, "seed": EARLY})

    return on_step


@pytest.mark.usefixtures("small_pages")
def test_a_wrong_key_is_not_tried_a_second_time_without_the_token(lake: Lake, emulator: Emulator) -> None:
    key = f"bars/sip/{DENSE}/2024-01-02/2024-02-01"
    kept = Progress(cursor=Cursor(key, "U1BZfE18MTcwNDIwNTgwMDAwMDAwMDAwMA==", 1, 500))
    lake.writer.finalise([], feed="sip", symbol=DENSE, source="alpaca", progress=kept)
    stranger = Emulator(emulator.url, EmulatorConfig(key_id="somebody"))
    with pytest.raises(CredentialsError, match="refused the key"):
        fill(lake, stranger)
    assert len(emulator.asked()) == 1


@pytest.mark.usefixtures("small_pages")
def test_no_token_is_left_when_all_is_answered(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator)
    for span in ("2024-01-02/2024-02-01", "2024-02-01/2024-02-03"):
        assert lake.manifest.cursor(f"bars/sip/{DENSE}/{span}") is None


# --- asking again ---------------------------------------------------------------------------------


def test_minutes_withheld_the_first_time_are_fetched_the_second_time(lake: Lake, emulator: Emulator) -> None:
    emulator.order("faults", {"faults": ["missing_minutes"]})
    (one,) = fill(lake, emulator).symbols
    assert one.bars_held == ROWS
    assert one.sessions_confirmed > 0
    assert fill(lake, emulator).symbols[0].requests == 0


def test_a_session_that_comes_back_the_same_is_confirmed_sparse(
    lake: Lake, serve_folder: Callable[..., Emulator]
) -> None:
    bars = make_bars(JANUARY)
    cut = bars.filter((session_of(pl.col("timestamp")) != JANUARY[3]) | (pl.int_range(pl.len()) % 2 == 0))
    emulator = serve_folder(cut)
    fill(lake, emulator, end="2024-01-12")
    said = lake.manifest.answers(symbol=DENSE).filter(session=JANUARY[3])
    assert said.select("status", "attempts").row(0) == (AnswerStatus.SPARSE, 2)
    found = lake.gaps(DENSE)
    assert found.select("session", "class", "missing_bars").rows() == [(JANUARY[3], "no_trade", 195)]
    assert len(emulator.asked()) == 2


def test_one_half_empty_session_added_to_a_long_history_is_asked_for_again(
    lake: Lake, serve_folder: Callable[..., Emulator]
) -> None:
    bars = make_bars(JANUARY)
    emulator = serve_folder(bars.head(7 * 390 + 120))
    fill(lake, emulator, end="2024-01-11")
    (one,) = fill(lake, emulator, end="2024-01-12").symbols
    assert (one.sessions_asked, one.sessions_confirmed) == (1, 1)


def test_a_thin_symbol_is_asked_for_once(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator, THIN, end="2024-01-12")
    assert len(emulator.asked()) == 1


# --- rows that are no bars --------------------------------------------------------------------------


def test_poisoned_rows_go_to_quarantine_and_the_rest_is_stored(
    lake: Lake, serve_folder: Callable[..., Emulator]
) -> None:
    bars = make_bars(JANUARY[:1])
    row = pl.int_range(pl.len())
    poisoned = bars.with_columns(
        high=pl.when(row == 3).then(pl.col("low") - 1).otherwise("high"),
        open=pl.when(row == 5).then(-1.0).when(row == 7).then(float("nan")).otherwise("open"),
        volume=pl.when(row == 9).then(-5).otherwise("volume"),
    )
    (one,) = fill(lake, serve_folder(poisoned), end="2024-01-03").symbols
    assert (one.written.inserted, one.bars_held) == (386, 386)
    quarantined = lake.manifest.quarantine()
    assert sorted(quarantined["reason"]) == [
        "high is below low", "o is missing", "open is not above 0", "volume is below 0",
    ]  # fmt: skip
    assert set(quarantined["symbol"]) == {DENSE}
    assert quarantined["origin"].str.starts_with("alpaca SPY 2024-01-02").all()


# --- receipts ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_pages")
def test_every_request_leaves_a_receipt(lake: Lake, emulator: Emulator) -> None:
    emulator.order("faults", {"faults": ["server_error", "truncated_json", "drop"]})
    report = fill(lake, emulator, DENSE, THIN)
    asked, receipts = emulator.asked(), lake.manifest.receipts()
    assert receipts.height == len(asked) == sum(one.requests for one in report.symbols)
    assert receipts["page_token"].to_list() == [query.get("page_token") for query in asked]
    assert receipts.filter(pl.col("error").is_not_null()).height > 0


@pytest.mark.usefixtures("small_pages")
def test_only_the_last_page_of_a_window_is_marked_complete(lake: Lake, emulator: Emulator) -> None:
    fill(lake, emulator, end="2024-01-12")
    receipts = lake.manifest.receipts()
    assert receipts["complete"].to_list() == [False] * 6 + [True]
    assert receipts["rows"].to_list() == [500] * 6 + [120]
