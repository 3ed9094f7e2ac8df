"""Bars: a symbol's prices over any range as candles, what is absent, and the bars as a file."""

from __future__ import annotations

import functools

import polars as pl
import streamlit as st

from app.dashboard.parts import chart_controls, look
from app.dashboard.parts.candle_chart import CLASS_NAMES, action_text, candle_chart, zone_name
from app.dashboard.parts.colours import palette
from app.dashboard.parts.lake import lake
from app.dashboard.parts.tables import show_table
from app.use_cases.bar_downloads import FileKind, bar_file, file_name
from app.use_cases.candles import MOST_CANDLES, Candles, candles
from app.use_cases.chart_ranges import stretch
from barlake.coverage import GapClass
from barlake.exporting import BarSelection
from barlake.keys import Adjustment, SessionFilter, Timeframe
from barlake.quality_report import CLASS_MEANINGS

__all__ = ["page"]


def page() -> None:
    """Draw the page."""
    held = lake().symbols()
    about = "Any range of prices in one picture, what is absent from it and why, and the bars as a file."
    look.page_header("Bars", about, feeds=held["feed"])
    if held.is_empty():
        look.empty_state(
            "There are no bars yet.", "Queue a ticker on the page Ingest, or try it on made-up bars: `barlake demo`.",
            page="ingest", label="Ingest a ticker",
        )  # fmt: skip
        return
    _view(held)


def _view(held: pl.DataFrame) -> None:
    chosen = chart_controls.choose(lake(), held)
    with st.spinner("Reading bars", show_time=False):
        found = candles(
            lake(), chosen.symbol, chosen.start, chosen.end, timeframe=chosen.timeframe, session=chosen.session,
            feed=chosen.feed, adjustment=chosen.adjustment,
        )  # fmt: skip
    if not found.count:
        _nothing(found, chosen)
        return
    _figures(found)
    _picture(found, chosen)
    _explanations(found, chosen)
    _downloads(found, chosen)
    _tables(found)


def _nothing(found: Candles, chosen: chart_controls.Choice) -> None:
    first, last = found.held
    hours = "" if chosen.session == SessionFilter.ALL else "in these hours "
    st.info(
        f"No bar of {found.symbol} is held {hours}in this range. The symbol is held from {first:%-d %b %Y} "
        f"to {last:%-d %b %Y}.",
        icon=":material/event_busy:",
    )


def _figures(found: Candles) -> None:
    """The last close, how far it came, and how much was traded."""
    facts = found.facts
    if facts is None:
        return
    name, change = f"{found.symbol}, last close", f"{facts.change:+.2%} in this range"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.metric(name, f"${facts.last_close:,.2f}", change, delta_color="off", width="content")
        st.caption(
            f"{facts.low:,.2f} to {facts.high:,.2f}, volume {facts.volume:,.0f}, {facts.minutes:,} minute bars",
            width="content",
        )


def _picture(found: Candles, chosen: chart_controls.Choice) -> None:
    drawn = candle_chart(found, palette())
    key, alt = chart_controls.chart_key(chosen), f"Candles of {found.symbol}, {found.interval} each, with volume below"
    config = {"displayModeBar": False}
    if not chart_controls.can_draw_boxes():
        drawn.figure.update_layout(dragmode=False)
        st.plotly_chart(drawn.figure, key=key, config=config, alt=alt)
        return
    event = st.plotly_chart(drawn.figure, key=key, on_select="rerun", selection_mode="box", config=config, alt=alt)
    boxes = event["selection"]["box"]
    if boxes:
        closer = stretch(found, *drawn.positions.rows_between(*boxes[-1]["x"]))
        if closer is not None:
            chart_controls.look_closer(chosen, *closer)


def _explanations(found: Candles, chosen: chart_controls.Choice) -> None:
    """How long the candles are and why, in which terms, and what the marks are."""
    if found.is_longer_than_wanted:
        st.info(
            f"There would be more than {MOST_CANDLES:,} candles of {found.wanted} in this range, so each is "
            f"{found.interval}. Draw a box across the chart, or take a shorter range, to see shorter ones.",
            icon=":material/zoom_out_map:",
        )
    terms = "" if chosen.adjustment == Adjustment.RAW else f", prices adjusted ({chosen.adjustment})"
    zone = f", times of {zone_name(found)}" if found.interval.is_intraday else ""
    shown = f"Feed {found.feed}, {found.count:,} candles of {found.interval}{zone}{terms}"
    hint = " Draw a box across the chart to look closer." if chart_controls.can_draw_boxes() else ""
    st.caption(f"{shown}.{hint}")


def _downloads(found: Candles, chosen: chart_controls.Choice) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        shown = found.interval.timeframe
        timeframe = st.selectbox(
            "Bars of this range as a file", list(Timeframe), index=list(Timeframe).index(shown),
            format_func=lambda one: f"{one} bars", key=f"bars.file.{shown}", width=200,
        )  # fmt: skip
        selection = BarSelection(
            [found.symbol], found.span.start, found.span.end, str(timeframe), chosen.session, found.feed,
            adjustment=chosen.adjustment,
        )  # fmt: skip
        for kind in FileKind:
            st.download_button(
                _KIND_NAMES[kind], functools.partial(bar_file, lake(), selection, kind),
                file_name(selection, kind), kind.media_type, on_click="ignore", icon=":material/download:",
                key=f"bars.file.{kind}",
            )  # fmt: skip


_KIND_NAMES = {FileKind.CSV: "CSV", FileKind.EXCEL: "Excel", FileKind.PARQUET: "Parquet"}


def _tables(found: Candles) -> None:
    """What the picture shows, in words and figures."""
    absent = found.absent
    if not absent.is_empty():
        minutes = absent["minutes"].sum()
        with st.expander(f"What is absent: {minutes:,} regular minutes", icon=":material/report:"):
            for row in absent.iter_rows(named=True):
                kind = GapClass(row["class"])
                sessions = f", {row['whole_sessions']:,} whole sessions" if row["whole_sessions"] else ""
                st.markdown(f"- **{CLASS_NAMES[kind]}**: {row['minutes']:,} minutes{sessions}; {CLASS_MEANINGS[kind]}")
            places = found.rows.filter(pl.col("missing") > 0)
            show_table(places.select("session", "last_session", "timestamp", "missing", "class", "evidence"))
            look.page_link("ingest", "Ingest what is missing")
    if not found.actions.is_empty():
        with st.expander(f"Splits and dividends: {found.actions.height}", icon=":material/call_split:"):
            for row in found.actions.iter_rows(named=True):
                st.markdown(f"- {action_text(row)} (source: {row['source']})".replace("$", r"\$"))
    with st.expander("The candles as a table", icon=":material/table_rows:"):
        show_table(found.rows.filter(pl.col("open").is_not_null()).drop("class", "evidence", "whole_sessions"))


if __name__ == "__main__":
    page()
