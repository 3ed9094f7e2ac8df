"""One run on a page: the ladder before the headline, then what chance gives, curves, trades on the bars, origin."""

from __future__ import annotations

import streamlit as st

from app.dashboard.parts.artifact_sections import show_head, show_origin, show_own_page
from app.dashboard.parts.colours import palette
from app.dashboard.parts.lake import lake
from app.dashboard.parts.plots import draw
from app.dashboard.parts.refresh import refreshed
from app.dashboard.parts.run_charts import equity_chart, ladder_chart
from app.dashboard.parts.run_trades import show_trades
from app.use_cases.runs import RunView, curves_of, report_of, view_run

__all__ = ["show_run"]

_REPORT_PX = 1000
_MONEY, _RETURN, _RATIO = "dollar", "%+.2f%%", "%.2f"


def show_run(run_id: str) -> None:
    """Draw everything about one run, by its id or first digits."""
    view = view_run(lake(), run_id)
    show_head(view.run, view.title, kind="run", feed=view.run.results["feed"])
    if view.is_optimistic:
        st.warning("Its orders are filled at the close that their signals were made from: nobody can trade so.")
    _ladder(view)
    _figures(view)
    _curves(view)
    show_trades(view.run.id, view.symbols)
    show_origin(view.facts)
    _report(view.run.id)


def _ladder(view: RunView) -> None:
    if view.ladder.is_empty():
        return
    st.markdown("**The ladder of optimism: the same signals under one honest assumption more each time**")
    picture, told = st.columns([3, 2])
    with picture:
        draw(ladder_chart(view.ladder, palette()), key="ladder", alt="Total return on each rung of the ladder")
    with told:
        for sentence in (*view.ladder_notes, *view.beside):
            st.markdown(f"- {sentence}")
    with st.expander("The rungs as figures", icon=":material/table_rows:"):
        figure = st.column_config.NumberColumn
        st.dataframe(
            view.ladder.drop("optimistic"), hide_index=True,
            column_config={
                "rung": "Rung", "final_value": "Final value, $", "total_return": figure("Return", format="percent"),
                "sharpe": figure("Sharpe", format=_RATIO), "fills": figure("Fills", format="localized"),
                "costs_usd": figure("Costs", format=_MONEY), "reason": "Why it has no figures",
            },
        )  # fmt: skip


def _figures(view: RunView) -> None:
    st.markdown("**This run beside buy and hold**")
    with st.container(horizontal=True, gap="small", key="tiles"):
        for card in view.cards:
            st.metric(card.title, card.value, card.beside, delta_color="off", delta_arrow="off", border=True)
    for note in view.notes:
        st.caption(f":material/info: {note}")
    with st.expander("All figures", icon=":material/table_rows:"):
        heads = [f"{head.title} ({head.note})" for head in view.heads]
        found = [
            {"": label, **dict(zip(heads, values, strict=True))} for _, rows in view.groups for label, values in rows
        ]
        st.dataframe(found, hide_index=True, height="content")


def _curves(view: RunView) -> None:
    st.markdown("**Account value and drawdown, beside buy and hold**")
    curves = curves_of(lake(), view.run.id)
    legend = "this run (optimistic)" if view.is_optimistic else "this run"
    draw(
        equity_chart(curves, palette(), legend=legend), key="equity",
        alt="Account value over the bars of the run, beside buy and hold, and its drawdown",
    )  # fmt: skip
    st.caption(f"{curves.points.height:,} points of {curves.bars:,} bars: of each stretch the lowest and the highest.")


@refreshed()
def _report(run_id: str) -> None:
    """The page is large: it is read when somebody wants it."""
    show_own_page(report_of(lake(), run_id), "tear sheet", file_name=f"run-{run_id}.html", height=_REPORT_PX)
