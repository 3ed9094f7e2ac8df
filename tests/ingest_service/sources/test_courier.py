"""What a courier does around a source that knows nothing of it: pace, windows, types, errors, pages."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from barlake.errors import InvalidInputError, SourceError
from barlake.keys import Adjustment
from barlake.receipts import Receipt
from barlake.settings import Settings
from ingest_service.sources.courier import Courier
from ingest_service.sources.interface import Capabilities, Dataset, RefusedRow, SourcePage, TransientError

START = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
END = START + dt.timedelta(hours=1)


def bars(*minutes: int, **changes: Any) -> pl.DataFrame:
    row = {"open": 1, "high": 2, "low": 1, "close": 2, "volume": 10} | changes
    return pl.DataFrame([{"timestamp": START + dt.timedelta(minutes=minute), **row} for minute in minutes])


class Mine:
    """A stranger's source, whose answers are given by a test."""

    def __init__(self, answer: Callable[..., SourcePage], **capabilities: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []
        given = {
            "offers": frozenset({Dataset.MINUTE, Dataset.DAILY}),
            "feeds": ("mine",),
            "requests_per_minute": 60_000,
        }
        self.capabilities = Capabilities(name="mine", **given | capabilities)

    def minute(self, symbol: str, start: Any, end: Any, *, feed: str, page_token: str | None) -> SourcePage:
        self.asked.append((symbol, start, end, feed, page_token))
        return self.answer()

    def daily(self, symbol: str, start: Any, end: Any, *, page_token: str | None) -> SourcePage:
        self.asked.append((symbol, start, end, page_token))
        return self.answer()


def courier(source: Any, **options: Any) -> Courier:
    return Courier(source, Settings(), backoff_seconds=0.01, **options)


def fetch(asked: Courier, **options: Any) -> Any:
    return asked.fetch_page("SPY", START, END, **{"feed": "mine", "on_receipt": lambda _one: None} | options)


def test_what_may_be_left_out_becomes_null_and_integers_become_prices() -> None:
    page = fetch(courier(Mine(lambda: SourcePage(bars(0)))))
    assert page.rows.schema["open"] == pl.Float64()
    assert page.rows["vwap"].to_list() == [None]


def test_rows_outside_the_window_and_rows_the_source_refused_are_strays() -> None:
    answer = SourcePage(bars(-1, 0, 60), refused=[RefusedRow({"x": 1}, "x is no bar")])
    page = fetch(courier(Mine(lambda: answer)))
    assert page.rows.height == 1
    assert [one.reason.split(" ")[0] for one in page.strays] == ["timestamp", "timestamp", "x"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (bars(0).drop("close", "low"), "without low, close"),
        (bars(0, close="ten"), "of another type"),
    ],
)
def test_a_table_that_is_none_of_that_kind_is_the_fault_of_its_module(rows: pl.DataFrame, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        fetch(courier(Mine(lambda: SourcePage(rows))))


def test_each_try_leaves_a_receipt_and_each_leaves_at_the_pace_of_the_source() -> None:
    failures = [TransientError("busy"), TransientError("busy")]

    def answer() -> SourcePage:
        if failures:
            raise failures.pop()
        return SourcePage(bars(0))

    receipts: list[Receipt] = []
    source = Mine(answer, requests_per_minute=1200)
    fetch(courier(source), on_receipt=receipts.append)
    assert [(one.attempt, one.rows, one.error) for one in receipts] == [(1, 0, "busy"), (2, 0, "busy"), (3, 1, None)]
    first, second, third = (one.requested_at for one in receipts)
    assert min(second - first, third - second) >= dt.timedelta(seconds=0.045)


def test_whatever_else_is_raised_is_an_outage_and_shows_no_secret() -> None:
    def answer() -> SourcePage:
        raise RuntimeError("no way with SESA/ME, as in ?key=SESA%2FME")

    source = Mine(answer)
    source.secrets = ("SESA/ME",)  # type: ignore[attr-defined]
    with pytest.raises(SourceError, match="RuntimeError") as caught:
        fetch(courier(source))
    assert "SESA" not in str(caught.value)
    assert len(source.asked) == 1


def test_adjusted_minutes_are_refused_before_anything_is_asked() -> None:
    source = Mine(lambda: SourcePage(bars(0)), adjusted={Dataset.MINUTE: Adjustment.SPLIT})
    with pytest.raises(InvalidInputError, match="keeps raw ones"):
        fetch(courier(source))
    assert source.asked == []


def test_what_a_source_does_not_offer_is_said_by_name() -> None:
    source = Mine(lambda: SourcePage(bars(0)), offers=frozenset({Dataset.MINUTE}))
    with pytest.raises(InvalidInputError, match="'mine' has no daily data: it offers minute"):
        courier(source).daily("SPY", START.date(), END.date(), on_receipt=lambda _one: None)


def test_a_page_token_that_comes_again_ends_the_pages() -> None:
    rows = pl.DataFrame(schema={"session": pl.Date, **dict.fromkeys(("open", "high", "low", "close"), pl.Float64)})
    source = Mine(lambda: SourcePage(rows, "again"))
    with pytest.raises(SourceError, match="never end"):
        list(courier(source).daily("SPY", START.date(), END.date(), on_receipt=lambda _one: None))
    assert len(source.asked) == 2


def test_a_long_window_is_asked_for_in_parts_with_the_sources_own_pages_in_each() -> None:
    tokens = iter(["p2", None, None])
    source = Mine(lambda: SourcePage(bars(0).clear(), next(tokens)), longest_span=dt.timedelta(minutes=40))
    asked, token = courier(source), None
    while True:
        token = fetch(asked, page_token=token).next_page_token
        if token is None:
            break
    middle = START + dt.timedelta(minutes=40)
    assert [(one[1], one[2], one[4]) for one in source.asked] == [
        (START, middle, None), (START, middle, "p2"), (middle, END, None),
    ]  # fmt: skip


def test_an_embargo_keeps_away_from_market_time() -> None:
    asked = courier(Mine(lambda: SourcePage(bars(0)), embargo=dt.timedelta(hours=2)))
    assert dt.timedelta(0) <= asked.server_now() - dt.timedelta(hours=2) - asked.latest_allowed_end("mine")
    assert asked.latest_allowed_end("mine").second == 0


def test_a_stop_ends_the_wait_for_the_next_try() -> None:
    stop = threading.Event()

    def answer() -> SourcePage:
        stop.set()
        raise TransientError("busy")

    with pytest.raises(SourceError):
        Courier(Mine(answer), Settings(), stop=stop, backoff_seconds=60.0).fetch_page(
            "SPY", START, END, feed="mine", on_receipt=lambda _one: None
        )
