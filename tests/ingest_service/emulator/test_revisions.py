from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

FIRST = dt.datetime(2024, 11, 1, 13, 30, tzinfo=dt.UTC)


def at(visitor: Any, seconds: float, *, speed: float = 0) -> None:
    visitor.control("/_emu/clock", {"now": (FIRST + dt.timedelta(seconds=seconds)).isoformat(), "speed": speed})


def first_bar(visitor: Any) -> dict[str, Any]:
    rows: list[dict[str, Any]] = visitor.bars("AAA", limit=1).json()["bars"]["AAA"]
    return rows[0]


def test_a_late_trade_shows_half_a_minute_after_its_bar(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, feed="iex", now=FIRST, speed=0)
    visitor.control(
        "/_emu/revise", {"symbol": "AAA", "timestamp": FIRST.isoformat(), "values": {"close": 100.03, "volume": 7}}
    )
    at(visitor, 60)
    assert (first_bar(visitor)["c"], first_bar(visitor)["v"]) == (100.02, 1)
    at(visitor, 89.9)
    assert first_bar(visitor)["v"] == 1
    at(visitor, 90)
    assert (first_bar(visitor)["c"], first_bar(visitor)["v"]) == (100.03, 7)


def test_a_correction_of_an_old_bar_shows_at_once(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, feed="iex", now=FIRST + dt.timedelta(hours=5), speed=0)
    assert first_bar(visitor)["v"] == 1
    visitor.control("/_emu/revise", {"symbol": "AAA", "timestamp": FIRST.isoformat(), "values": {"volume": 9}})
    assert first_bar(visitor)["v"] == 9
    visitor.control("/_emu/reset")
    assert first_bar(visitor)["v"] == 1


def test_a_share_of_all_bars_is_provisional_at_first_and_true_in_the_end(emulate: Any, folder: Path) -> None:
    truth = emulate(bars=folder, feed="iex").bars("AAA", limit=250).json()["bars"]["AAA"]
    visitor = emulate(bars=folder, feed="iex", revised_share=0.5, now=FIRST, speed=0)
    changed = 0
    for minute in range(1, 31):
        at(visitor, 60 * minute)
        early = visitor.bars("AAA", limit=250).json()["bars"]["AAA"]
        at(visitor, 60 * minute + 30)
        assert visitor.bars("AAA", limit=250).json()["bars"]["AAA"] == truth[:minute]
        assert early[:-1] == truth[: minute - 1]
        changed += early[-1] != truth[minute - 1]
    assert 5 < changed < 25


def test_a_revision_of_no_value_is_refused(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder)
    order = {"symbol": "AAA", "timestamp": FIRST.isoformat(), "values": {}}
    assert visitor.session.post(visitor.url + "/_emu/revise", json=order, timeout=30).status_code == 422
