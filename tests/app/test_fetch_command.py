"""`barlake fetch`: daily bars, news and coins from a faithful Alpaca; macro values from what speaks FRED's XML."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import barlake
from barlake.sessions import Calendar
from ingest_service.emulator import EmulatorConfig, serve
from tests.scripted_server import serve as serve_script
from tests.scripted_server import status

NOW = dt.datetime(2024, 2, 1, 15, tzinfo=dt.UTC)
WINDOW = ("--start", "2024-01-02", "--end", "2024-01-09")


@pytest.fixture(scope="module")
def _emulator() -> Iterator[str]:
    config = EmulatorConfig(now=NOW, requests_per_window=10_000)
    with serve(config, calendar=Calendar.default()) as url:
        yield url


@pytest.fixture(autouse=True)
def _keys(_emulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = EmulatorConfig()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("ALPACA_API_KEY_ID", config.key_id)
    monkeypatch.setenv("ALPACA_API_SECRET_KEY", config.secret_key)
    monkeypatch.setenv("ALPACA_DATA_URL", _emulator)
    monkeypatch.setenv("ALPACA_RPM", "10000")
    monkeypatch.setenv("ALPACA_FEED", "synthetic")


def fetched(done: Any) -> list[dict[str, Any]]:
    assert done.code == 0, done.errors
    rows: list[dict[str, Any]] = json.loads(done.out)["fetched"]
    return rows


def test_daily_bars_come_once(cli: Any, tmp_path: Path) -> None:
    (one,) = fetched(cli("fetch", "daily", "SYNA", *WINDOW, "--root", tmp_path, "--json"))
    assert (one["source"], one["new"]) == ("alpaca", 5)
    (two,) = fetched(cli("fetch", "daily", "SYNA", *WINDOW, "--root", tmp_path, "--json"))
    assert (two["new"], two["changed"], two["known"]) == (0, 0, 5)
    with barlake.open(tmp_path) as lake:
        assert lake.daily("SYNA")["session"].to_list()[0] == dt.date(2024, 1, 2)


def test_people_see_a_table_and_the_watch_list_says_what_a_source_calls_a_symbol(cli: Any, tmp_path: Path) -> None:
    text = "securities:\n  indices:\n    - symbol: SPX\n      names: {alpaca: SYNB}\n"
    (tmp_path / "securities.yaml").write_text(text)
    done = cli("fetch", "daily", "SPX", *WINDOW, "--root", tmp_path)
    assert done.code == 0, done.errors
    assert "alpaca-synb" in done.out
    with barlake.open(tmp_path) as lake:
        assert lake.daily("SPX")["source"].unique().to_list() == ["alpaca-synb"]


def test_news_come_with_what_they_are_about(cli: Any, tmp_path: Path) -> None:
    (one,) = fetched(cli("fetch", "news", "SYNA", *WINDOW, "--root", tmp_path, "--json"))
    assert one["new"] > 0
    with barlake.open(tmp_path) as lake:
        assert all("SYNA" in symbols for symbols in lake.news()["symbols"])


def test_coins_are_kept_on_every_day_of_the_week(cli: Any, tmp_path: Path) -> None:
    window = ("--start", "2024-01-06", "--end", "2024-01-08")  # a Saturday and a Sunday
    asked = ("fetch", "crypto", "BTC/USD", "--source", "alpaca-crypto", *window, "--root", tmp_path, "--json")
    (one,) = fetched(cli(*asked))
    assert (one["feed"], one["dates"], one["bars_held"]) == ("alpaca-crypto", 2, 2 * 1440)
    (two,) = fetched(cli(*asked))
    assert two["requests"] == 0


def test_macro_values_come_with_their_releases(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = '<observation realtime_start="2024-01-25" realtime_end="9999-12-31" date="2023-10-01" value="1.5"/>'
    answers = [status(200, "<observations/>")] * 20
    with serve_script(status(200, f"<observations>{row}</observations>"), *answers) as script:
        monkeypatch.setenv("FRED_API_KEY", "KEY-OF-THE-TEST")
        monkeypatch.setenv("FRED_BASE_URL", script.url)
        monkeypatch.setenv("FRED_RPM", "10000")
        asked = ("fetch", "macro", "GDP", "--start", "2024-01-01", "--end", "2024-02-01", "--root", tmp_path)
        assert fetched(cli(*asked, "--json"))[0]["new"] == 1
    with barlake.open(tmp_path) as lake:
        assert lake.macro("GDP")["value"].to_list() == [1.5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("daily", "SPY", "--source", "alpca"), "Did you mean 'alpaca'"),
        (("daily", "SPY", "--source", "massive"), "MASSIVE_API_KEY is not set"),
        (("daily", "SPY", "--start", "yesterday"), "--start 'yesterday' is not a date"),
        (("macro", "GDP", "--source", "alpaca"), "has no macro data"),
        (("crypto", "BTC/USD", "--source", "fred"), "FRED_API_KEY"),
        (("daily", "SYNA", "--start", "2024-01-09", "--end", "2024-01-02"), "not before end"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(cli: Any, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = cli("fetch", *arguments, "--root", tmp_path)
    assert done.code == 1
    assert words in done.errors


def test_a_backup_without_its_key_is_left_out_and_that_is_said(
    cli: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both = ("--source", "massive", "--source", "alpaca")
    (one,) = fetched(cli("fetch", "daily", "SYNA", *both, *WINDOW, "--root", tmp_path, "--json"))
    assert one["source"] == "alpaca"
    assert any("left out" in record.getMessage() for record in caplog.records)


def test_the_environment_names_the_sources_in_their_order(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BARLAKE_DAILY_SOURCES", "fred")
    assert "FRED_API_KEY" in cli("fetch", "daily", "SYNA", "--root", tmp_path).errors
    monkeypatch.setenv("BARLAKE_DAILY_SOURCES", "massive, alpaca")
    (one,) = fetched(cli("fetch", "daily", "SYNA", *WINDOW, "--root", tmp_path, "--json"))
    assert one["source"] == "alpaca"


def test_the_sources_are_listed_with_what_they_give_or_lack(cli: Any, tmp_path: Path) -> None:
    rows = {row["source"]: row for row in json.loads(cli("fetch", "sources", "--root", tmp_path, "--json").out)}
    assert (rows["alpaca"]["gives"], rows["alpaca"]["lacks"]) == ("daily, minute, news", "")
    assert "MASSIVE_API_KEY is not set" in rows["massive"]["lacks"]
    assert rows["binance"]["feeds"] == "binance"
    assert rows["yahoo"]["adjusted"] == "daily: split"
    assert "alpaca-crypto" in cli("fetch", "sources", "--root", tmp_path).out
