from __future__ import annotations

import datetime as dt
import html.parser
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake import Lake
from barlake.testing import make_bars
from simulation_service.report import MOST_TRADES, _number
from simulation_service.simulate import simulate_model, simulate_signals


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
        self.text += f" {data.strip()}"


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


@pytest.fixture
def page(lake: Lake, make_model: Any, predictions: pl.DataFrame) -> str:
    return simulate_model(lake, make_model(predictions), "SPY").report_path.read_text(encoding="utf-8")


def test_page_asks_for_nothing_outside_itself_and_runs_no_script(page: str) -> None:
    reader = read(page)
    assert reader.links == []
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    assert "http" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_page_shows_figures_of_both_fills_and_of_buy_and_hold(
    lake: Lake, make_model: Any, predictions: pl.DataFrame
) -> None:
    report = simulate_model(lake, make_model(predictions), "SPY")
    text = read(report.report_path.read_text(encoding="utf-8")).text
    accounts = [report.results[fill] for fill in ("next_open", "same_close")]
    accounts += report.results["buy_and_hold"].values()
    for account in accounts:
        assert f"{float(account['final_value']):,.2f}" in text
    assert "optimistic" in text


def test_page_names_everything_the_run_was_made_from(lake: Lake, make_model: Any, predictions: pl.DataFrame) -> None:
    report = simulate_model(lake, make_model(predictions), "SPY")
    text = read(report.report_path.read_text(encoding="utf-8")).text
    inputs = report.run.inputs
    hashes = [inputs["model"], inputs["predictions_sha256"], inputs["bars"]["symbols"][0]["content_hash"]]
    for needed in (*hashes, report.run_id, report.run.code):
        assert needed in text


def test_made_up_bars_carry_a_badge_and_real_feeds_their_name(lake: Lake, tmp_path: Path) -> None:
    bars = make_bars([dt.date(2024, 1, 2)], minutes=10)
    path = tmp_path / "signals.parquet"
    bars.select("timestamp", signal=pl.lit(1.0)).write_parquet(path)
    lake.write_bars(bars, feed="iex", symbol="IWM")
    lake.write_bars(bars, feed="synthetic", symbol="DIA")
    real = read(simulate_signals(lake, path, "IWM").report_path.read_text(encoding="utf-8")).text
    made_up = read(simulate_signals(lake, path, "DIA").report_path.read_text(encoding="utf-8")).text
    assert "synthetic bars" in made_up
    assert "synthetic" not in real
    assert "feed iex" in real


def test_headline_at_the_same_close_is_marked_optimistic_at_the_top(
    lake: Lake, make_model: Any, predictions: pl.DataFrame
) -> None:
    report = simulate_model(lake, make_model(predictions), "SPY", fill="same_close")
    assert "same close: optimistic" in report.report_path.read_text(encoding="utf-8")


def test_long_list_of_trades_is_cut_and_says_how_many_more(lake: Lake, tmp_path: Path) -> None:
    bars = make_bars([dt.date(2024, 1, 2), dt.date(2024, 1, 3)])
    path = tmp_path / "signals.parquet"
    bars.select("timestamp", signal=(pl.int_range(pl.len()) % 2).cast(pl.Float64)).write_parquet(path)
    lake.write_bars(bars, feed="synthetic", symbol="IWM")
    report = simulate_signals(lake, path, "IWM")
    page = report.report_path.read_text(encoding="utf-8")
    metrics = report.results["next_open"]["metrics"]
    earlier = metrics["trades"] + metrics["open_trade"] - MOST_TRADES
    assert f"The last 100, newest first; {earlier} earlier ones" in page
    assert len(page) < 300_000


def test_name_of_a_signals_file_cannot_write_html(lake: Lake, predictions: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "<b>&.csv"
    predictions.select("timestamp", "signal").write_csv(path)
    page = simulate_signals(lake, path, "SPY").report_path.read_text(encoding="utf-8")
    assert "<b>&.csv" not in page
    assert "&lt;b&gt;&amp;.csv" in page


@pytest.mark.parametrize("minutes", [1, 2])
def test_shortest_runs_have_a_page_too(lake: Lake, tmp_path: Path, minutes: int) -> None:
    path = tmp_path / "signals.parquet"
    stamps = lake.bars("SPY")["timestamp"].head(minutes)
    pl.DataFrame({"timestamp": stamps, "signal": [0.0] * minutes}).write_parquet(path)
    report = simulate_signals(lake, path, "SPY")
    text = read(report.report_path.read_text(encoding="utf-8")).text
    assert "No share was bought." in text
    assert report.results["next_open"]["metrics"]["sharpe"] is None


def test_page_follows_the_reader_into_the_dark(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert re.search(r'name="viewport"', page)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "ratio", "\N{EN DASH}"),
        ("105808.58", "money", "105,808.58"),
        ("1234.0001", "money", "1,234.0001"),
        (-0.5, "percent", "\N{MINUS SIGN}50.00\N{NO-BREAK SPACE}%"),
        (31.8889, "price", "31.8889"),
        (1250.5, "price", "1,250.50"),
        (-1234.5, "dollars", "\N{MINUS SIGN}1,234.50"),
    ],
)
def test_figures_are_set_for_eyes(value: float | str | None, kind: str, text: str) -> None:
    assert _number(value, kind) == text
