from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import barlake
from barlake.sessions import Calendar
from barlake.testing import make_bars
from ingest_service.emulator import EmulatorConfig, serve

HEADER = "symbol,ex_date,kind,ratio,cash_usd,source"
SPLIT = "SPY,2024-01-04,split,2:1,,issuer"
DIVIDEND = "SPY,2024-01-05,dividend,,1.5,issuer"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    days = [dt.date(2024, 1, day) for day in (2, 3, 4, 5)]
    with barlake.open(tmp_path / "lake") as lake:
        lake.write_bars(make_bars(days, minutes=3), feed="synthetic", symbol="SPY")
    return tmp_path / "lake"


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes rows into a CSV file."""

    def write(*rows: str) -> Path:
        path = tmp_path / "told.csv"
        path.write_text("\n".join([HEADER, *rows]), encoding="utf-8")
        return path

    return write


def test_actions_are_imported_once_and_listed(cli: Any, root: Path, told: Callable[..., Path]) -> None:
    path = told(SPLIT, DIVIDEND)
    assert cli("actions", "import", path, "--root", root).out == "2 new, 0 replaced, 0 known already\n"
    assert cli("actions", "import", path, "--root", root, "--json").data == {
        "inserted": 0, "unchanged": 2, "replaced": 0, "bad": [],
    }  # fmt: skip
    listed = cli("actions", "list", "SPY", "--root", root)
    assert "split" in listed.out
    assert "issuer" in listed.out
    rows = cli("actions", "list", "--root", root, "--json").data
    assert [(row["kind"], row["ex_date"], row["counts"]) for row in rows] == [
        ("split", "2024-01-04", True),
        ("dividend", "2024-01-05", True),
    ]


def test_a_bad_row_is_named_by_its_line_and_the_good_ones_are_kept(
    cli: Any, root: Path, told: Callable[..., Path]
) -> None:
    outcome = cli("actions", "import", told(SPLIT, "SPY,2024-01-05,dividend,,,"), "--root", root)
    assert (outcome.code, outcome.out) == (1, "1 new, 0 replaced, 0 known already\n")
    assert "told.csv line 3: a dividend needs cash_usd" in outcome.errors


def test_bars_are_shown_in_the_terms_asked_for(cli: Any, root: Path, told: Callable[..., Path]) -> None:
    cli("actions", "import", told(SPLIT), "--root", root)
    raw, adjusted = (
        cli("bars", "SPY", "--adjustment", name, "--root", root, "--json").data for name in ("raw", "split")
    )
    assert [row["close"] for row in adjusted] == [
        row["close"] / (2 if row["session"] < "2024-01-04" else 1) for row in raw
    ]
    refused = cli("bars", "SPY", "--adjustment", "total", "--root", root)
    assert refused.code == 1
    assert "use one of raw, split, dividend, all" in refused.errors


def test_sources_that_disagree_are_listed(cli: Any, root: Path, told: Callable[..., Path]) -> None:
    assert cli("actions", "conflicts", "--root", root).out == "No source disagrees with another.\n"
    cli("actions", "import", told(DIVIDEND, "SPY,2024-01-05,dividend,,1.6,another"), "--root", root)
    rows = cli("actions", "conflicts", "spy", "--root", root, "--json").data
    assert [(row["source"], row["cash_usd"], row["reason"]) for row in rows] == [
        ("another", 1.6, "value differs"),
        ("issuer", 1.5, "value differs"),
    ]
    assert sum(row["counts"] for row in rows) == 1


def test_a_lake_without_actions_says_how_to_get_some(cli: Any, root: Path) -> None:
    assert "`barlake actions import`" in cli("actions", "list", "--root", root).out


def test_actions_are_fetched_from_alpaca_once(
    cli: Any, root: Path, told: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EmulatorConfig(actions=told(SPLIT, DIVIDEND))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("ALPACA_API_KEY_ID", config.key_id)
    monkeypatch.setenv("ALPACA_API_SECRET_KEY", config.secret_key)
    with serve(config, calendar=Calendar.default()) as url:
        monkeypatch.setenv("ALPACA_DATA_URL", url)
        first, again = (cli("actions", "fetch", "SPY", "--root", root, "--json").data for _ in range(2))
    assert first == {
        "symbols": [{"symbol": "SPY", "requests": 1, "inserted": 2, "unchanged": 0, "replaced": 0}],
        "unreadable": [],
    }
    assert again["symbols"][0]["unchanged"] == 2


def test_a_date_that_is_none_is_refused(cli: Any, root: Path) -> None:
    outcome = cli("actions", "fetch", "SPY", "--start", "soon", "--root", root)
    assert outcome.code == 1
    assert "--start 'soon' is not a date" in outcome.errors
