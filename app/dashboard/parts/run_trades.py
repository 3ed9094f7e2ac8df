"""Trades of a run on the bars it traded, session by session, and as a table."""

from __future__ import annotations

import polars as pl
import streamlit as st

from app.dashboard.parts.colours import palette
from app.dashboard.parts.lake import lake
from app.dashboard.parts.look import errors_told
from app.dashboard.parts.plots import draw
from app.dashboard.parts.run_charts import trades_chart
from app.use_cases.runs import sessions_of
from app.use_cases.trade_picture import TradePicture, busy_sessions, trade_picture

__all__ = ["show_trades"]

_SHOWN = (
    "entry_timestamp", "entry_price_usd", "exit_timestamp", "exit_price_usd", "shares", "profit_usd", "simple_return",
    "exit_reason",
)  # fmt: skip


@errors_told()
def show_trades(run_id: str, symbols: tuple[str, ...]) -> None:
    """Draw the trades of some sessions; which ones is chosen here."""
    st.markdown("**Trades on the chart**")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        symbol = symbols[0]
        if len(symbols) > 1:
            symbol = st.selectbox("Symbol", symbols, key=f"trades_symbol_{run_id}", width=160)
        sessions = sessions_of(lake(), run_id)
        first, last = st.select_slider(
            "Sessions", sessions, value=busy_sessions(lake(), run_id, symbol), key=f"trades_sessions_{run_id}_{symbol}",
        )  # fmt: skip
    picture = trade_picture(lake(), run_id, symbol, first, last)
    if picture.bars.is_empty():
        st.caption(f"The lake holds no bars of {symbol} in these sessions any more.")
        return
    draw(trades_chart(picture, palette()), key="trades", alt=f"Entries and exits on candles of {symbol}")
    _told(picture)
    _table(picture.trades)


def _told(picture: TradePicture) -> None:
    counted = f"{picture.trades.height:,} trade{'s' * (picture.trades.height != 1)} on {picture.interval} candles."
    more = f" {picture.left_out:,} more are left out: choose fewer sessions." if picture.left_out else ""
    st.caption(f"{counted}{more} Times are New York's. A filled triangle is an entry, a circle a gain, a cross a loss.")


def _table(trades: pl.DataFrame) -> None:
    if trades.is_empty():
        return
    stamp = st.column_config.DatetimeColumn
    figure = st.column_config.NumberColumn
    with st.expander("These trades as a table", icon=":material/table_rows:"):
        st.dataframe(
            trades.select(_SHOWN).with_columns(pl.col(pl.Datetime).dt.convert_time_zone("America/New_York")),
            hide_index=True,
            column_config={
                "entry_timestamp": stamp("Entry", format="YYYY-MM-DD HH:mm"), "exit_reason": "Left by",
                "exit_timestamp": stamp("Exit", format="YYYY-MM-DD HH:mm"),
                "entry_price_usd": figure("Price", format="%.2f"),
                "exit_price_usd": figure("Price left at", format="%.2f"),
                "shares": figure("Shares", format="localized"), "profit_usd": figure("Profit, $", format="%+.2f"),
                "simple_return": figure("Return", format="percent"),
            },
        )  # fmt: skip
