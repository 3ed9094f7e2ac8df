from __future__ import annotations

import html.parser
import re
import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest

from simulation_service.tear_sheet import code
from tests.simulation_service.tear_sheet.small_run import (
    account,
    equity_table,
    run_page,
    run_results,
    trade,
    trades_table,
)

COSTS = {"half_spread_bps": 1.0, "slippage_bps": 0.0, "sell_fee_rate": 0.0000278}


def ladder(*values: float, **others: Any) -> dict[str, Any]:
    """A ladder of rungs that end at these values of 1,000 dollars."""
    names = ["same close", "next open", "+ spread", "+ slippage", "+ fees", "+ volume cap and delay"]
    execution = {"costs": COSTS, "volume_share": 0.025, "delay_bars": 1}
    rungs = [
        {
            "name": name,
            "execution": execution,
            "costs_usd": 1.0,
            "final_value": f"{value:.2f}",
            "total_return": value / 1000 - 1,
        }
        for name, value in zip(names, values, strict=True)
    ]
    facts = {
        "assumed": True,
        "volume_share_assumed": True,
        "break_even_cost_bps": 0.75,
        "break_even_trade_usd": 0.5,
    }
    return {"rungs": rungs, **facts, **others}


ENTRIES = {
    "draws": 200,
    "lower": 0.25,
    "own_return": 0.021,
    "quantiles": {"0.05": -0.05, "0.25": -0.02, "0.5": 0.02, "0.75": 0.04, "0.95": 0.09},
}


class Reader(html.parser.HTMLParser):
    """Collects what a page asks for, its text, and whether its tags close in order."""

    VOID = frozenset({"meta", "br", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in {"src", "href", "srcset", "action"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += f" {data.strip()}"


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", read(page).text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-"))


def test_page_asks_for_nothing_outside_itself_and_runs_no_script() -> None:
    page = run_page()
    reader = read(page)
    assert reader.links == []
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    assert "http" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_page_begins_with_what_became_of_the_cash_and_of_holding() -> None:
    text = text_of(run_page())
    assert "SPY , crossover" in text
    assert "2 January 2024 to 3 January 2024" in text
    assert "$1,000.00 became $1,012.50 in 2 sessions: +1.25 %, where buying and holding gave -1.00 %." in text


def test_page_shows_figures_of_the_account_of_holding_and_of_the_optimistic_fill() -> None:
    text = text_of(run_page())
    assert "Final value, $ 1,012.50 990.00 1,066.25" in text
    assert "Same close plain rule, optimistic" in text


def test_headline_at_the_same_close_is_called_optimistic_at_the_top() -> None:
    held = {"same_close": account("990.00") | {"bought_at": "first close"}}
    text = text_of(run_page(run_results(fill="same_close", buy_and_hold=held)))
    assert text.index("same close: optimistic") < text.index("became")


def test_made_up_bars_are_called_synthetic_and_real_feeds_by_their_name() -> None:
    made_up, real = text_of(run_page(run_results(feed="synthetic"))), text_of(run_page())
    assert made_up.index("synthetic bars") < made_up.index("became")
    assert "synthetic" not in real
    assert "feed iex" in real


def test_ladder_shows_every_rung_and_says_which_costs_are_assumed() -> None:
    text = text_of(run_page(run_results(ladder=ladder(5000.0, 1012.5, 900.0, 800.0, 790.0, 700.0))))
    assert "1 Same close optimistic 1.00 5,000.00 +400.00 %" in text
    assert "6 + volume cap and delay 1.00 700.00 -30.00 %" in text
    assert "so these are assumed, typical of a liquid US stock: half spread 1 bps, sell fee rate 0.0000278" in text
    assert "at most 2.50 % of a bar\N{RIGHT SINGLE QUOTATION MARK}s volume (assumed)" in text
    assert "a volume cap and one bar of delay the same signals end at -30.00 %; the profit is gone" in text
    assert "once each dollar bought or sold costs 0.75 bps" in text


def test_ladder_of_given_costs_does_not_call_them_assumed() -> None:
    steps = ladder(*[900.0] * 6, assumed=False, volume_share_assumed=False, break_even_cost_bps=None)
    text = text_of(run_page(run_results(ladder=steps)))
    assert "assumed" not in text
    assert "With the costs of this run: half spread 1 bps" in text
    assert "no profit that costs could eat" in text


def test_bars_of_the_ladder_run_from_no_return_to_each_rung() -> None:
    page = run_page(run_results(ladder=ladder(2000.0, 1500.0, 1000.0, 500.0, 0.0, 0.0)))
    found = re.findall(r'class="bar([a-z ]*)" style="left: ([\d.]+)%; width: ([\d.]+)%"', page)
    widths = [float(width) for _, _, width in found]
    assert [kind.strip() for kind, _, _ in found] == ["optimistic", "", "", "loss", "loss", "loss"]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.02)
    assert widths[2] == 0
    assert widths[3] == pytest.approx(widths[4] / 2, abs=0.02)
    zero = float(found[0][1])
    assert all(float(left) + float(width) == pytest.approx(zero, abs=0.02) for _, left, width in found[3:])


def test_luck_is_told_beside_the_result() -> None:
    worth = {"probability": 0.12, "trials": 17}
    text = text_of(run_page(run_results(random_entries=ENTRIES, deflation=worth)))
    assert "Of 200 draws of random entries with as many trades, held as long, 75 % did as well or better." in text
    assert "Deflated Sharpe 12.00 % 17 tries on record" in text
    assert "200 draws: -5.00 % to +9.00 % (9 in 10), median +2.00 %" in text


def test_remarks_stand_before_the_figures() -> None:
    text = text_of(run_page(run_results(remarks=["3 bars have no signal."], told=["SPY paid a dividend."])))
    assert text.index("3 bars have no signal.") < text.index("SPY paid a dividend.") < text.index("Total return")


def test_page_names_everything_the_run_was_made_from() -> None:
    text = text_of(run_page())
    for needed in (
        "SPY, 10 bars of all hours",
        "ab" * 32,
        "cd" * 32,
        "ef" * 32,
        "feedbeefcafe0001",
        "alpaca: 90.00 % (9)",
    ):
        assert needed in text
    assert "Rules stop loss 0.01" in text


def test_a_trade_still_held_says_so_and_every_other_why_it_was_left() -> None:
    trades = trades_table(trade(3, -0.01, reason="trailing"), trade(4, 0.02, is_open=True))
    text = text_of(run_page(trades=trades))
    assert "still held 10 100.00 102.00 +20.00 +2.00 %" in text
    assert "2024-01-02 09:33 10 100.00 99.00 -10.00 -1.00 % trailing" in text
    assert "One still held is valued at the last close." in text


def test_sums_by_symbol_are_shown_where_there_are_several() -> None:
    trades = trades_table(trade(1, 0.01), trade(1, -0.02, symbol="QQQ"))
    both = run_results(symbols=["SPY", "QQQ"])
    assert "QQQ 1 0.00 % -2.0000 % -20.00" in text_of(run_page(both, trades))
    assert "SPY, QQQ" in text_of(run_page(both, trades))


def test_the_shortest_run_that_never_traded_has_a_page_too() -> None:
    results = run_results(sessions=1, bars=1)
    text = text_of(run_page(results, trades_table(), equity=equity_table([1000.0] * 10).head(1)))
    assert "No trade was closed." in text
    assert "No share was bought." in text
    assert "in 1 session:" in text


def test_names_cannot_write_html() -> None:
    page = run_page(run_results(signals_from="file", signals_name="<b>&.csv", remarks=["<i>"]))
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;.csv" in page
    assert "<i>" not in page


def test_page_follows_the_reader_into_the_dark_and_onto_a_phone() -> None:
    page = run_page()
    assert "prefers-color-scheme: dark" in page
    assert re.search(r'name="viewport"', page)


def test_page_of_a_hundred_thousand_bars_stays_small() -> None:
    rng = np.random.default_rng(3)
    times = pl.datetime_range(
        pl.datetime(2024, 1, 1), pl.datetime(2024, 3, 10, 10, 39), "1m", time_zone="UTC", time_unit="us", eager=True
    )
    table = times.alias("timestamp").to_frame().with_columns(session=pl.col("timestamp").dt.date())
    values = (1000 * np.cumprod(1 + rng.normal(scale=1e-4, size=table.height))).tolist()
    trades = trades_table(*[trade(int(n), 0.01 * n / 5000) for n in rng.integers(1, 5000, 3000)])
    assert len(run_page(trades=trades, equity=equity_table(values, values, times=table))) < 300_000


def test_the_same_run_gives_the_same_page_in_another_process() -> None:
    script = (
        "import hashlib; from tests.simulation_service.tear_sheet.small_run import run_page;"
        "from simulation_service.tear_sheet import code;"
        "print(hashlib.sha256(run_page().encode()).hexdigest(), code())"
    )
    import hashlib
    from pathlib import Path

    root = Path(__file__).parents[3]
    told = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [hashlib.sha256(run_page().encode()).hexdigest(), code()]
