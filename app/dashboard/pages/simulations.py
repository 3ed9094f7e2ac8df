"""Simulations: run one by a job, read the ladder before the headline, trades on the bars, compare several."""

from __future__ import annotations

import polars as pl
import streamlit as st

from app.dashboard.parts import look
from app.dashboard.parts.chosen import choose_shown, take_over
from app.dashboard.parts.colours import palette
from app.dashboard.parts.lake import lake
from app.dashboard.parts.plots import draw
from app.dashboard.parts.run_charts import growth_chart
from app.dashboard.parts.run_sections import show_run
from app.use_cases.runs import compare, count_older_runs, list_all_runs, names_of_runs

__all__ = ["page"]

SHOWN = "runs"
"""Key of the choice, and its name in the address: `simulations?runs=1f2e...`."""

_TABS = ("Runs", "Simulate")
_COLUMNS = ("symbols", "source", "fill", "total_return", "sharpe", "max_drawdown", "final_value", "bars", "feed", "run")


def page() -> None:
    """Draw the page."""
    take_over()
    runs = list_all_runs(lake())
    look.page_header(
        "Simulations", "What signals would have made of an account, and what is left of it under honest assumptions."
    )
    read, start = st.tabs(_TABS, key="runs_tab", on_change="rerun", bind="query-params")
    if start.open:
        with start:
            # Its libraries take seconds to load, and whoever reads does not need them.
            with st.spinner("Loading strategies"):
                from app.dashboard.parts.simulate_form import simulate_tab  # noqa: PLC0415 - as just said
            simulate_tab(shown=SHOWN, first_tab=_TABS[0])
    with read:
        if older := count_older_runs(lake()):
            st.caption(f"Runs of an earlier release, kept with their `report.html` and not listed here: {older}.")
        if runs.is_empty():
            look.empty_state(
                "Nothing was simulated here yet.",
                "Simulate a strategy or a model in the tab beside this, or with "
                "`barlake simulate --symbol SPY --strategy moving_average_cross`.",
            )  # fmt: skip
        else:
            _read(runs)


def _read(runs: pl.DataFrame) -> None:
    _overview(runs)
    names = names_of_runs(runs)
    chosen = choose_shown(names, key=SHOWN, what="run")
    if len(chosen) == 1:
        show_run(chosen[0])
    elif chosen:
        _compare(chosen, names)


def _overview(runs: pl.DataFrame) -> None:
    figure = st.column_config.NumberColumn
    st.dataframe(
        runs, hide_index=True, column_order=_COLUMNS,
        column_config={
            "run": "Run", "symbols": "Symbols", "feed": "Feed", "source": "Signals from", "fill": "Filled at",
            "bars": figure("Bars", format="localized"), "total_return": figure("Return", format="percent"),
            "sharpe": figure("Sharpe", format="%.2f"), "max_drawdown": figure("Drawdown", format="percent"),
            "final_value": "Final value, $",
        },
    )  # fmt: skip


def _compare(chosen: list[str], names: dict[str, str]) -> None:
    found = compare(lake(), chosen)
    (st.info if found.same_bars else st.warning)(found.verdict, icon=":material/balance:")
    heads = {one: names[one] for one in chosen}
    st.markdown("**Return since the start of each**")
    draw(growth_chart(found.growth, heads, palette()), key="growth", alt="Return of the chosen runs by session")
    for title, table in (("Figures", found.figures), ("What differs", found.differing.drop("of"))):
        st.markdown(f"**{title}**")
        shown = table.with_columns(pl.all().fill_null("\N{EN DASH}"))
        st.dataframe(shown, hide_index=True, height="content", column_config={"figure": "", "fact": "", **heads})


if __name__ == "__main__":
    page()
