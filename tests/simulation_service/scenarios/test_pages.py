"""Pages of scenarios, futures and events: figures in words, pictures without script, the same bytes each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from barlake.errors import InvalidInputError, NotFoundError
from barlake.sessions import Calendar
from simulation_service.plan import SimulationPlan, StrategySource
from simulation_service.scenarios.event_study import EventStudy, Window
from simulation_service.scenarios.events import EventReport, Unit
from simulation_service.scenarios.monte_carlo import Futures, account_paths
from simulation_service.scenarios.pages.events_page import events_page
from simulation_service.scenarios.pages.form import Bar, Page, band_chart, write_page
from simulation_service.scenarios.pages.futures_page import futures_page
from simulation_service.scenarios.pages.stress_page import stress_page
from simulation_service.scenarios.scenario_table import Scenario, standard_scenarios
from simulation_service.scenarios.stress import StressReport, stress
from simulation_service.scenarios.trading import Trader
from simulation_service.strategies.catalogue import make_strategy
from simulation_service.tear_sheet.typeset import number

BarMaker = Callable[..., pl.DataFrame]
EMPTY = {"meta", "path"}


class Balance(HTMLParser):
    """Notes elements that are opened and not closed, and everything that a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in EMPTY:
            self.open.append(tag)
        self.foreign += [tag] if tag in {"script", "link", "img", "iframe"} else []
        self.foreign += [name for name, value in attrs if name in {"src", "href"} or "http" in (value or "")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open.pop() == tag


def checked(page: Page) -> str:
    """The page's text, after it was found whole, and to need nothing but itself."""
    html = page.html()
    assert html == page.html()
    balance = Balance()
    balance.feed(html)
    assert balance.open == []
    assert balance.foreign == []
    assert not re.search(r"\bnan\b|None|Infinity|&lt;simulation", html)
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL))


def report(bars: pl.DataFrame, *, feed: str = "sip", scenarios: tuple[Scenario, ...]) -> StressReport:
    plan = SimulationPlan(("SPY",), StrategySource("buy_and_hold"))
    trader = Trader(plan, make_strategy("buy_and_hold"), feed, "regular", Calendar.default())

    def no_span(scenario: Scenario) -> pl.DataFrame:
        raise NotFoundError(f"no bars of SPY since {scenario.start}")

    return stress(trader, bars, scenarios, span=no_span)


def test_the_page_of_scenarios_has_a_picture_of_each_and_says_which_are_synthetic(bars_of: BarMaker) -> None:
    made = report(bars_of("SPY", sessions=32, minutes=60), scenarios=standard_scenarios())
    page = stress_page(made, subject="buy_and_hold")
    text = checked(page)
    assert page.html().count("<svg") == len(standard_scenarios()) - 1
    assert "march_2020 was not tried: no bars of SPY since 2020-02-20" in text
    assert "synthetic · bars of march_2020_moves, gap_down_10" in text
    worst = made.table().sort("total_return", nulls_last=True).row(0, named=True)
    loss = number(worst["total_return"], "percent").replace("\N{NO-BREAK SPACE}", " ")
    assert f"{worst['scenario'].replace('_', ' ')} is the worst: {loss}" in text
    assert f"{worst['final_value_usd']:,.0f}" in text


def test_pages_of_made_up_bars_say_so_of_everything(bars_of: BarMaker) -> None:
    made = report(bars_of("SPY", sessions=4), feed="synthetic", scenarios=standard_scenarios()[2:4])
    assert "synthetic · none of these bars is a market" in checked(stress_page(made, subject="x"))
    untried = report(bars_of("SPY", sessions=4), scenarios=standard_scenarios()[:1])
    assert "No scenario could be tried" in checked(stress_page(untried, subject="x"))


def test_the_page_of_futures_has_the_quantiles_and_the_risk_of_ruin() -> None:
    futures = account_paths(np.array([0.1, -0.1, 0.05]), paths=500, sessions=12, seed=1)
    facts = futures.as_dict(cash_usd=1000, ruin=0.8)
    page = futures_page(futures, title="SPY", subject="x", about="y", cash_usd=1000, ruin=0.8, how="Drawn.")
    text = checked(page)
    assert "synthetic · these paths were drawn" in text
    for level in ("0.01", "0.5", "0.99"):
        assert f"{facts['final_value_usd'][level]:,.2f}" in text
    assert f"{facts['risk_of_ruin']:.2%}"[:-1] in text
    assert "$800 or less" in text
    # The deepest falls stand beside the worst ends.
    rows = page.sections[1].tables[0].rows
    assert rows[0][3] == f"{facts['max_drawdown']['0.99']:.2%}".replace("%", "\N{NO-BREAK SPACE}%")


def test_the_page_of_events_has_every_offset_and_every_event() -> None:
    abnormal = np.array([[0.0, 0.03, 0.01], [0.01, 0.01, -0.02]])
    study = EventStudy(np.array([-1, 0, 1]), np.array([0, 1]), abnormal, np.array([0.01, 0.01]))
    events = pl.DataFrame(
        {"name": ["<b>first</b>", "second"], "date": ["2024-05-01", "2024-06-03"], "instant": [None, None]}
    ).with_columns(pl.col("date").str.to_date(), pl.col("instant").cast(pl.Datetime("us", "UTC")))
    made = EventReport("SPY", "synthetic", Unit.SESSIONS, Window(1, 1), None, study, events, 3)
    text = checked(events_page(made, subject="earnings"))
    assert "synthetic · these prices were made up" in text
    assert "3 events have no whole window among the bars" in text
    assert "&lt;b&gt;first" in text
    assert "+4.00" in text
    assert "−1" in text  # noqa: RUF001 - a true minus sign
    one = EventStudy(np.array([0]), np.array([0]), np.array([[0.02]]), np.array([0.01]))
    alone = EventReport("SPY", "sip", Unit.MINUTES, Window(0, 0), None, one, events[:1], 0)
    assert "log price since the last one" in checked(events_page(alone, subject="x"))


def test_a_long_window_is_shown_by_every_fifth_minute() -> None:
    size = 141
    study = EventStudy(np.arange(size) - 30, np.array([0]), np.full((1, size), 0.001), np.array([0.001]))
    events = pl.DataFrame({"name": ["x"], "date": ["2024-05-01"], "instant": ["2024-05-01T18:00:00Z"]}).with_columns(
        pl.col("date").str.to_date(), pl.col("instant").str.to_datetime(time_unit="us", time_zone="UTC")
    )
    page = events_page(EventReport("SPY", "sip", Unit.MINUTES, Window(30, 110), None, study, events, 1), subject="x")
    assert "Every 5 minutes; the chart has all." in checked(page)
    assert "1 event has no whole window" in page.remarks[0]
    assert [row[0] for row in page.sections[1].tables[0].rows][5:8] == ["−5", "event", "+5"]  # noqa: RUF001
    assert page.sections[2].tables[0].rows[0][1] == "2024-05-01 14:00"


def test_a_band_goes_down_one_edge_and_back_along_the_other() -> None:
    low, high = np.array([1.0, 0.0]), np.array([2.0, 4.0])
    chart = band_chart([("own", "m", np.array([1.5, 2.0]))], (low, high), marks="{:g}", x_labels=[], zero=1.0)
    assert [line.legend for line in chart.lines] == ["m"]
    assert chart.area == "M0.0 240.0L1000.0 320.0L1000.0 0.0L0.0 160.0Z"


def test_drawn_cells_share_one_scale_around_zero() -> None:
    loss, none, gain = Bar.row([-0.1, None, 0.3])
    assert none is None
    assert loss == Bar(left=0.0, width=pytest.approx(25), zero=pytest.approx(25), is_loss=True)
    assert gain == Bar(left=pytest.approx(25), width=pytest.approx(75), zero=pytest.approx(25), is_loss=False)
    assert Bar.row([0.0]) == [Bar(0.0, 0.0, 0.0, is_loss=False)]


def test_a_page_is_written_whole_under_a_name_that_says_what_it_is(tmp_path: Path) -> None:
    page = futures_page(
        Futures.of_closes(np.array([[1.0], [1.1]])), title="a", subject="b", about="c", cash_usd=1, ruin=0.5, how="d"
    )
    path = tmp_path / "new" / "page.html"
    write_page(path, page)
    assert path.read_text(encoding="utf-8") == page.html()
    assert [one.name for one in path.parent.iterdir()] == ["page.html"]
    with pytest.raises(InvalidInputError, match=r"is not a \.html file"):
        write_page(tmp_path / "page.txt", page)
