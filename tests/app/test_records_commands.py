"""`barlake daily`, `news` and `macro`: what is held, as it stands and as it stood."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest

import barlake
from app.cli import run
from barlake.testing import make_bars

CLOSE = dt.datetime(2024, 1, 2, 21, tzinfo=dt.UTC)
RELEASED = dt.datetime(2024, 1, 25, 13, 30, tzinfo=dt.UTC)


@pytest.fixture
def root(tmp_path: Path) -> str:
    root = str(tmp_path / "lake")
    bar = {"symbol": "SPY", "session": CLOSE.date(), "open": 1.0, "high": 3.0, "low": 1.0, "close": 2.0}
    told = {"series": "GDP", "date": dt.date(2023, 10, 1), "value": 3.3, "known_at": RELEASED}
    article = {"article_id": "7", "created_at": CLOSE, "headline": "Up", "content": "A lot", "symbols": ["SPY"]}
    with barlake.open(root) as lake:
        lake.write_daily(pl.DataFrame([bar]), source="yahoo")
        lake.write_daily(pl.DataFrame([bar | {"close": 2.5}]), source="yahoo")
        lake.write_news(pl.DataFrame([article]), source="alpaca")
        lake.write_macro(pl.DataFrame([told]), source="fred")
        lake.write_bars(make_bars([CLOSE.date()], minutes=3), feed="binance", symbol="BTC/USDT")
    return root


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, list)
    return found


def test_each_kind_is_shown_as_it_stands_and_as_it_could_be_known(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [row["close"] for row in answer(capsys, "daily", "SPY", "--root", root)] == [2.5]
    known = answer(capsys, "daily", "SPY", "--known-by", CLOSE.isoformat(), "--root", root)
    assert [row["close"] for row in known] == [2.0]
    assert [row["content"] for row in answer(capsys, "news", "SPY", "--root", root)] == ["A lot"]
    assert answer(capsys, "news", "QQQ", "--root", root) == []
    assert [row["value"] for row in answer(capsys, "macro", "gdp", "--root", root)] == [3.3]
    assert answer(capsys, "macro", "GDP", "--known-by", CLOSE.isoformat(), "--root", root) == []


def test_tables_are_for_eyes(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["daily", "SPY"], ["news"], ["macro", "GDP"], ["symbols"]):
        assert run([*command, "--root", root]) == 0
    shown = capsys.readouterr().out
    assert "Up" in shown
    assert "24/7" in shown


def test_what_is_not_held_is_said(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["daily", "SPZ", "--root", root]) == 1
    assert "Did you mean 'SPY'" in capsys.readouterr().err
