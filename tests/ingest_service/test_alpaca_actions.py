from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake.actions import counting
from barlake.errors import InvalidInputError
from barlake.lake import Lake
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars, temporary_lake
from ingest_service.alpaca import AlpacaSource
from ingest_service.alpaca_actions import fetch_actions, read_actions_page
from ingest_service.emulator import EmulatorConfig, serve
from ingest_service.refusals import TransientError

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "alpaca_json" / "alpaca_py"
NOW = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)
ROWS = """symbol,ex_date,kind,ratio,cash_usd,source
SPY,2024-03-15,dividend,,1.594937,issuer
SPY,2024-06-21,dividend,,1.759024,issuer
NVDA,2024-06-10,split,10:1,,issuer
NVDA,2024-06-11,dividend,,0.01,issuer
"""


@pytest.fixture
def lake() -> Iterator[Lake]:
    with temporary_lake(now=lambda: NOW) as lake:
        yield lake


@pytest.fixture
def emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], AlpacaSource]]:
    """A source on an emulator that serves the rows of a CSV file; each call is another emulator."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = []

    def start(rows: str) -> AlpacaSource:
        path = tmp_path / f"{len(running)}.csv"
        path.write_text(rows, encoding="utf-8")
        config = EmulatorConfig(actions=path, now=NOW)
        server = serve(config, calendar=Calendar.default())
        running.append(server)
        keys = {"ALPACA_API_KEY_ID": config.key_id, "ALPACA_API_SECRET_KEY": config.secret_key}
        settings = Settings.model_validate(keys | {"ALPACA_DATA_URL": server.__enter__()})
        return AlpacaSource.from_settings(settings, backoff_seconds=1e-5)

    yield start
    for server in running:
        server.__exit__(None, None, None)


def recorded(name: str) -> Any:
    path = RECORDED / f"test_corporate_actions__{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_group_of_a_recorded_answer_is_read() -> None:
    page = read_actions_page(recorded("test_get_corporate_actions"))
    assert page.unreadable == []
    assert page.next_page_token is not None
    found = {row[0]: row[1:] for row in page.statements.select("symbol", "kind", "ex_date", "ratio", "cash_usd").rows()}
    assert found == {
        "MNTS": ("split", dt.date(2023, 8, 24), 0.02, None),
        "SRE": ("split", dt.date(2023, 8, 22), 2.0, None),
        "TPBAU": ("unit_split", dt.date(2023, 3, 1), None, None),
        "MSBC": ("stock_dividend", dt.date(2023, 5, 19), 1.05, None),
        "FCF": ("dividend", dt.date(2023, 5, 4), None, 0.125),
        "JUPW": ("spin_off", dt.date(2023, 8, 15), None, None),
        "GLOP": ("merger", dt.date(2023, 7, 17), None, None),
        "LSI": ("merger", dt.date(2023, 7, 20), None, None),
        "MLVF": ("merger", dt.date(2023, 7, 18), None, None),
        "ORPHY": ("redemption", dt.date(2023, 6, 13), None, None),
        "BSAQ": ("name_change", dt.date(2023, 8, 15), None, None),
        "ATNXQ": ("removal", dt.date(2023, 10, 11), None, None),
        "IFN": ("rights", dt.date(2024, 4, 17), None, None),
    }


def test_the_last_recorded_page_has_no_token_and_keeps_what_else_was_said() -> None:
    page = read_actions_page(recorded("test_get_corporate_actions_2"))
    assert page.next_page_token is None
    row = page.statements.row(0, named=True)
    assert (row["source"], row["action_id"]) == ("alpaca", "a7932b15-f816-4f83-921e-998b524487c3")
    assert json.loads(row["details"])["payable_date"] == "2024-08-26"


def test_a_type_nobody_knows_yet_is_listed_and_not_lost() -> None:
    record = {"id": "1", "symbol": "SPY", "process_date": "2026-03-02"}
    page = read_actions_page({"corporate_actions": {"capital_gains_distributions": [record]}, "next_page_token": None})
    assert page.statements.select("kind", "symbol", "ex_date").rows() == [("other", "SPY", dt.date(2026, 3, 2))]


@pytest.mark.parametrize(
    ("group", "record", "reason"),
    [
        ("forward_splits", {"id": "1", "symbol": "A", "ex_date": "2024-01-02", "new_rate": 2}, "old_rate None"),
        ("forward_splits", {"id": "1", "symbol": "A", "ex_date": "2024-01-02", "new_rate": "2"}, "new_rate '2'"),
        ("cash_dividends", {"id": "1", "symbol": "A", "ex_date": "2024-01-02", "rate": None}, "rate None"),
        ("cash_dividends", {"id": "1", "symbol": "A", "ex_date": "2024-31-02", "rate": 1}, "not on the calendar"),
        ("cash_dividends", {"symbol": "A", "ex_date": "2024-01-02", "rate": 1}, "id is missing"),
        ("cash_dividends", {"id": "1", "ex_date": "2024-01-02", "rate": 1}, "symbol or source_symbol"),
        ("cash_dividends", "text", "a record is an object"),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_named_and_the_page_is_kept(group: str, record: Any, reason: str) -> None:
    good = {"id": "2", "symbol": "SPY", "ex_date": "2024-03-15", "rate": 1.5}
    page = read_actions_page({"corporate_actions": {group: [record], "cash_dividends_2": [good]}})
    assert page.statements.height == 1
    assert len(page.unreadable) == 1
    assert reason in page.unreadable[0]


@pytest.mark.parametrize(
    "body", [None, [], {}, {"message": "ok"}, {"corporate_actions": []}, {"corporate_actions": {"x": {}}},
             {"corporate_actions": {}, "next_page_token": 7}],
)  # fmt: skip
def test_a_body_that_is_no_page_is_asked_for_again(body: Any) -> None:
    with pytest.raises(TransientError):
        read_actions_page(body)


def test_what_is_fetched_is_kept_and_a_second_fetch_changes_nothing(
    lake: Lake, emulated: Callable[[str], AlpacaSource]
) -> None:
    source = emulated(ROWS)
    start = dt.date(2024, 1, 1)
    first = fetch_actions(lake, source, ["SPY", "nvda", "SPY"], start)
    assert [(one.symbol, one.requests, one.written.inserted) for one in first] == [("SPY", 1, 2), ("NVDA", 1, 2)]
    again = fetch_actions(lake, source, ["SPY", "NVDA"], start)
    assert [(one.written.inserted, one.written.unchanged) for one in again] == [(0, 2), (0, 2)]
    believed = counting(lake.manifest.actions.statements(["NVDA"]))
    assert believed.select("source", "kind", "ratio", "cash_usd").rows() == [
        ("alpaca", "split", 10.0, None),
        ("alpaca", "dividend", None, 0.01),
    ]


def test_more_actions_than_a_page_holds_come_whole(lake: Lake, emulated: Callable[[str], AlpacaSource]) -> None:
    first = dt.date(2010, 1, 1)
    dates = [first + dt.timedelta(days=2 * number) for number in range(2100)]
    rows = "".join(f"SPY,{date},dividend,,0.01\n" for date in dates)
    source = emulated("symbol,ex_date,kind,ratio,cash_usd\n" + rows)
    (report,) = fetch_actions(lake, source, ["SPY"], first)
    assert (report.requests, report.written.inserted) == (3, 2100)


def test_the_window_begins_with_the_first_session_held_and_reaches_ahead(
    lake: Lake, emulated: Callable[[str], AlpacaSource]
) -> None:
    lake.write_bars(make_bars([dt.date(2024, 4, 1)], minutes=5), feed="synthetic", symbol="SPY")
    (report,) = fetch_actions(lake, emulated(ROWS), ["SPY"])
    assert report.written.inserted == 1
    (receipt,) = lake.manifest.receipts().to_dicts()
    assert receipt["endpoint"] == "/v1/corporate-actions"
    assert (receipt["start"].date(), receipt["end"].date()) == (dt.date(2024, 4, 1), dt.date(2024, 9, 29))
    assert (receipt["symbol"], receipt["rows"], receipt["complete"]) == ("SPY", 1, True)


def test_an_amount_that_is_mended_replaces_the_earlier_one_which_is_kept(
    lake: Lake, emulated: Callable[[str], AlpacaSource]
) -> None:
    start = dt.date(2024, 1, 1)
    fetch_actions(lake, emulated(ROWS), ["SPY"], start)
    (report,) = fetch_actions(lake, emulated(ROWS.replace("1.759024", "1.76")), ["SPY"], start)
    assert (report.written.inserted, report.written.unchanged, report.written.replaced) == (0, 1, 1)
    june = lake.manifest.actions.statements().filter(pl.col("ex_date") == dt.date(2024, 6, 21))
    assert june.select("cash_usd", "superseded_at").rows() == [(1.759024, NOW), (1.76, None)]


def test_an_empty_window_is_refused(lake: Lake, emulated: Callable[[str], AlpacaSource]) -> None:
    with pytest.raises(InvalidInputError, match="start 2024-05-01 is not before end 2024-05-01"):
        fetch_actions(lake, emulated(ROWS), ["SPY"], dt.date(2024, 5, 1), dt.date(2024, 5, 1))
