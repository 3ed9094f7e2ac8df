"""What a chart of bars is asked for: symbol, range, candles, hours and prices; and looking closer by a box."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass

import polars as pl
import streamlit as st

from app.use_cases.candle_intervals import AUTO, CandleInterval
from app.use_cases.chart_ranges import Reach, reach_back
from barlake.keys import Adjustment, SessionFilter
from barlake.lake import Lake

__all__ = ["Choice", "Side", "can_draw_boxes", "chart_key", "choose", "choose_symbol", "look_closer"]

Side = dt.date | dt.datetime

_CLOSER, _STEPS = "bars.closer", "bars.steps"
_OWN = "Own dates"
_HOURS = {
    SessionFilter.REGULAR: "Regular",
    SessionFilter.ALL: "All",
    SessionFilter.PRE: "Before",
    SessionFilter.POST: "After",
}
_PRICES = {
    Adjustment.RAW: "As traded",
    Adjustment.SPLIT: "Splits",
    Adjustment.DIVIDEND: "Dividends",
    Adjustment.ALL: "Splits and dividends",
}


@dataclass(frozen=True)
class Choice:
    """What was chosen; the range is [start, end).

    Parameters
    ----------
    whole
        The range before a box was drawn.
    """

    symbol: str
    feed: str
    start: Side
    end: Side
    timeframe: str
    session: SessionFilter
    adjustment: Adjustment
    whole: tuple[dt.date, dt.date]

    @property
    def subject(self) -> tuple[str, str, dt.date, dt.date]:
        """What boxes are drawn in: another one forgets them."""
        return self.symbol, self.feed, *self.whole


def choose_symbol(held: pl.DataFrame) -> tuple[str, str]:
    """Symbol and feed, of those held; the address of the page may name them: `?symbol=SPY`."""
    several = held["symbol"].is_duplicated().any()
    names = [f"{symbol} ({feed})" if several else symbol for feed, symbol in held.select("feed", "symbol").iter_rows()]
    chosen = st.selectbox("Symbol", names, key="symbol", bind="query-params", width=200)
    row = held.row(names.index(chosen), named=True)
    return row["symbol"], row["feed"]


def choose(lake: Lake, held: pl.DataFrame) -> Choice:
    """The widgets, and what they say.

    Parameters
    ----------
    held
        As `Lake.symbols` gives it; with at least one row.
    """
    with st.container(horizontal=True, gap="small", vertical_alignment="top"):
        symbol, feed = choose_symbol(held)
        reaches = [*(one.value for one in Reach), _OWN]
        reach = st.segmented_control(
            "Range", reaches, default=Reach.MONTH.value, required=True, wrap=True, key="bars.range"
        )
    with st.container(horizontal=True, gap="small", vertical_alignment="top"):
        timeframe = st.selectbox(
            "Candles", [AUTO, *CandleInterval], format_func=_candle_name, key="bars.timeframe", width=200
        )
        hours = st.segmented_control(
            "Hours", [*SessionFilter], format_func=_hours_name, default=SessionFilter.REGULAR, required=True,
            wrap=True, key="bars.hours",
        )  # fmt: skip
        prices = st.selectbox(
            "Prices adjusted for", [*Adjustment], format_func=_prices_name, key="bars.prices", width=200
        )
    whole = _range(lake, symbol, feed, str(reach))
    session, adjustment = SessionFilter(str(hours)), Adjustment(str(prices))
    return _closer(Choice(symbol, feed, *whole, str(timeframe), session, adjustment, whole))


def _hours_name(value: str) -> str:
    return _HOURS[SessionFilter(value)]


def _prices_name(value: str) -> str:
    return _PRICES[Adjustment(value)]


def _candle_name(value: str) -> str:
    return "As short as fits" if value == AUTO else str(value)


def _range(lake: Lake, symbol: str, feed: str, reach: str) -> tuple[dt.date, dt.date]:
    sessions = lake.held(feed=feed, symbol=symbol)["session"].sort()
    if reach != _OWN:
        return reach_back(sessions, Reach(reach))
    first, last = sessions[0], sessions[-1]
    given = st.date_input(
        "First and last session", (first, last), min_value=first, max_value=last, key=f"bars.dates.{symbol}.{feed}",
        format="YYYY-MM-DD", width=280,
    )  # fmt: skip
    days = given if isinstance(given, tuple) else (given,)
    start, last = (days[0], days[-1]) if days else (first, last)
    return start, last + dt.timedelta(days=1)


def look_closer(chosen: Choice, start: Side, end: Side) -> None:
    """Draw again, only this part of what is chosen."""
    _keep(chosen, [*_boxes(chosen), (start, end)])
    st.rerun()


def can_draw_boxes() -> bool:
    """Whether a finger is not what a box would be drawn with: it has to move the page, not mark the chart.

    Told by the word that browsers of phones have in their name for this purpose:
    https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/Browser_detection_using_the_user_agent.
    """
    return "Mobi" not in (st.context.headers.get("User-Agent") or "")


def chart_key(chosen: Choice) -> str:
    """A key for the chart of a choice, another one after every step: a box that was drawn is not found again."""
    return f"{chosen}-{st.session_state.get(_STEPS, 0)}"


def _keep(chosen: Choice, boxes: list[tuple[Side, Side]]) -> None:
    st.session_state[_CLOSER] = (chosen.subject, boxes)
    st.session_state[_STEPS] = st.session_state.get(_STEPS, 0) + 1


def _boxes(chosen: Choice) -> list[tuple[Side, Side]]:
    """Ranges of the boxes drawn in this subject, each in the one before."""
    subject, boxes = st.session_state.get(_CLOSER, (None, []))
    return list(boxes) if subject == chosen.subject else []


def _closer(chosen: Choice) -> Choice:
    """The part of a choice that a box was drawn around last, with the way back."""
    boxes = _boxes(chosen)
    if not boxes:
        return chosen
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for name, key, icon, kept in (
            ("Back", "bars.back", ":material/arrow_back:", boxes[:-1]),
            ("Whole range", "bars.whole", ":material/zoom_out_map:", []),
        ):
            st.button(name, icon=icon, key=key, on_click=_keep, args=(chosen, kept))
    start, end = boxes[-1]
    return dataclasses.replace(chosen, start=start, end=end)
