from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

import barlake


def close_of(example: Path, session: str) -> Decimal:
    with barlake.open(example) as lake:
        day = dt.date.fromisoformat(session)
        return Decimal(str(lake.bars("SPY", day, day + dt.timedelta(days=1))["close"][-1]))


def test_a_short_position_is_priced_at_the_closes_of_two_sessions(cli: Any, example: Path) -> None:
    profit = 100 * (close_of(example, "2024-01-03") - close_of(example, "2024-01-09"))
    words = ("pnl", "SPY", "--entry", "2024-01-03", "--exit", "2024-01-09", "--quantity", 100, "--short")
    done = cli(*words, "--root", example, "--json")
    facts = json.loads(done.out)
    assert done.code == 0
    assert Decimal(facts["profit_usd"]) == profit
    assert (facts["side"], facts["synthetic"]) == ("short", True)
    shown = cli(*words, "--root", example)
    assert shown.code == 0
    assert facts["profit_usd"] in shown.out
    assert "No split or dividend of SPY is known" in shown.out
    assert "The bars are made up" in shown.out


def test_what_happened_to_the_shares_in_between_is_told(cli: Any, tmp_path: Path) -> None:
    stamps = [dt.datetime(2024, 1, day, 20, 59, tzinfo=dt.UTC) for day in (2, 3)]
    price = [400.0, 100.0]
    bars = pl.DataFrame(
        {
            "timestamp": pl.Series(stamps, dtype=pl.Datetime("us", "UTC")), "open": price, "high": price, "low": price,
            "close": price, "volume": [10, 10], "trade_count": [1, 1], "vwap": price,
        }
    )  # fmt: skip
    actions = tmp_path / "actions.csv"
    actions.write_text(
        "symbol,ex_date,kind,ratio,cash_usd\nABC,2024-01-03,split,4,\nABC,2024-01-03,dividend,,1\nABC,2024-01-03,merger,,\n"
    )
    with barlake.open(tmp_path / "lake") as lake:
        lake.write_bars(bars, feed="sip", symbol="ABC")
        lake.import_actions(actions)
    done = cli(
        "pnl", "ABC", "--entry", "2024-01-02", "--exit", "2024-01-03", "--quantity", 3, "--root", tmp_path / "lake"
    )
    assert done.code == 0
    assert "2024-01-03 split: 4 for 1" in done.out
    assert "2024-01-03 dividend: 3.00 dollars" in done.out
    assert "2024-01-03 merger: not counted" in done.out


def test_a_date_without_a_session_is_one_message(cli: Any, example: Path) -> None:
    done = cli("pnl", "SPY", "--entry", "2024-01-06", "--exit", "2024-01-09", "--root", example)
    assert done.code == 1
    said = "error: entry 2024-01-06 is not a session: the nearest ones are 2024-01-05 and 2024-01-08."
    assert done.errors.startswith(said)
