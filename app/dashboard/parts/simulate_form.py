"""What to simulate, asked in plain words, and put into the queue as a job."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import polars as pl
import streamlit as st

from app.dashboard.parts import look
from app.dashboard.parts.job_list import watch_jobs
from app.dashboard.parts.lake import lake, queue
from app.use_cases.models import list_models, names_of_models
from app.use_cases.simulation import house_strategies, queue_simulation
from barlake.keys import Adjustment
from simulation_service.costs import Costs
from simulation_service.execution import Fill
from simulation_service.rules import Direction

__all__ = ["FROM_MODEL", "simulate_form", "simulate_tab"]

FROM_MODEL, _FROM_STRATEGY = "A model", "A strategy"
_TYPICAL = "Half a spread and slippage of one basis point each, and the regulators' fees on sales. They fit no symbol."
_FIRST_STRATEGY = "moving_average_cross"


def simulate_tab(*, shown: str, first_tab: str) -> None:
    """Draw the questions, and below them the jobs; parameters as in `watch_jobs`."""
    simulate_form()
    watch_jobs("simulate", shown=shown, first_tab=first_tab, result="run")


@look.errors_told()
def simulate_form() -> None:
    """Draw the questions and the button; what is chosen decides what else is asked."""
    held, models = lake().symbols(), list_models(lake())
    if held.is_empty():
        look.empty_state("There is nothing to trade yet.", "Fetch bars first.", page="ingest", label="Ingest")
        return
    sources = [_FROM_STRATEGY, *([FROM_MODEL] if models.height else [])]
    first = FROM_MODEL if models.height and "model" in st.query_params else _FROM_STRATEGY
    source = st.segmented_control("Signals from", sources, default=first, required=True, key="simulate_source")
    symbols, options = _of_model(models) if source == FROM_MODEL else _of_strategy(held)
    options |= _account() | _rules()
    st.caption(
        "Orders made of a bar's close are filled at the next open unless you choose otherwise; every simulation is on "
        "record and counts as a try at its symbol."
    )
    if st.button("Simulate", type="primary", icon=":material/play_arrow:", key="simulate_start", disabled=not symbols):
        job = queue_simulation(lake(), queue(), symbols, options)
        st.success(f"Queued as job `{job}`. How far it is stands below.", icon=":material/schedule:")


def _of_model(models: pl.DataFrame) -> tuple[list[str], dict[str, Any]]:
    names = names_of_models(models)
    asked = st.query_params.get("model")
    place = list(names).index(asked) if asked in names else 0
    chosen = st.selectbox("Model", list(names), index=place, format_func=names.__getitem__, key="simulate_model")
    st.caption("Its out-of-sample predictions are traded: every bar by the fold that had not seen it.")
    symbol = models.filter(model=chosen)["symbols"].item().split(",")[0]
    return [symbol], {"model": chosen}


def _of_strategy(held: pl.DataFrame) -> tuple[list[str], dict[str, Any]]:
    known = house_strategies()
    left, right = st.columns(2)
    feeds = held["feed"].unique(maintain_order=True).to_list()
    feed = left.selectbox("Feed", feeds, key="simulate_feed")
    own = held.filter(feed=feed)["symbol"].to_list()
    symbols = right.multiselect("Symbols, on one account", own, default=own[:1], key=f"simulate_symbols_{feed}")
    names = list(known)
    name = st.selectbox("Strategy", names, index=names.index(_FIRST_STRATEGY), key="simulate_strategy")
    st.caption(known[name].summary)
    settings = []
    with st.container(horizontal=True):
        for one in known[name].parameters:
            value = st.text_input(
                one.name.replace("_", " "), key=f"simulate_{name}_{one.name}", placeholder=one.default or "needed",
                help=one.meaning or None, width=170,
            )  # fmt: skip
            settings += [f"{one.name}={value.strip()}"] if value.strip() else []
    return symbols, {"strategy": name, "settings": settings, "feed": feed}


def _account() -> dict[str, Any]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        cash = st.number_input("Cash to start with, $", 1, 1_000_000_000, 100_000, key="simulate_cash", width=180)
        direction = st.selectbox("Positions", _values(Direction), key="simulate_direction", width=120)
        fill = st.selectbox("Filled at", _values(Fill), format_func=_fill, key="simulate_fill", width=220)
        prices = st.selectbox("Prices", _values(Adjustment), key="simulate_adjustment", width=120)
    typical = st.toggle("Typical costs of a liquid US stock", value=True, key="simulate_typical", help=_TYPICAL)
    chosen = {"cash": str(cash), "direction": direction, "fill": fill, "adjustment": prices}
    return chosen | (Costs.typical().as_dict() if typical else _costs())


def _values(members: type[StrEnum]) -> list[str]:
    return [one.value for one in members]


def _fill(fill: str) -> str:
    return fill.replace("_", " ") + (" (optimistic)" if Fill(fill).is_optimistic else "")


def _costs() -> dict[str, Any]:
    with st.container(horizontal=True):
        return {
            "half_spread_bps": st.number_input(
                "Half the spread, bps", 0.0, 100.0, 0.0, 0.1, key="simulate_spread", width=170
            ),
            "slippage_bps": st.number_input("Slippage, bps", 0.0, 100.0, 0.0, 0.1, key="simulate_slippage", width=170),
            "per_share_usd": st.number_input(
                "A share, $", 0.0, 1.0, 0.0, 0.001, format="%.4f", key="simulate_share", width=170
            ),
            "per_order_usd": st.number_input("A fill, $", 0.0, 1000.0, 0.0, 0.5, key="simulate_order", width=170),
        }


def _rules() -> dict[str, Any]:
    with st.expander("Period, and what else ends a position", icon=":material/tune:"):
        left, right = st.columns(2)
        start = left.date_input("First session", None, key="simulate_start_date")
        end = right.date_input("First session not to trade any more", None, key="simulate_end_date")
        loss = left.number_input("Stop loss, %", 0.0, 99.0, None, key="simulate_stop", placeholder="None")
        gain = right.number_input("Take profit, %", 0.0, 1000.0, None, key="simulate_profit", placeholder="None")
        bars = left.number_input("Bars after which it is left", 1, None, None, key="simulate_bars", placeholder="None")
        share = right.number_input(
            "Most of a bar's volume, %", 0.0, 100.0, None, key="simulate_volume", placeholder="All"
        )
        flat = left.checkbox("Leave every position at the close", key="simulate_flat")
        fractional = right.checkbox("Trade fractions of a share", key="simulate_fractional")
    return {
        "start": start and start.isoformat(), "end": end and end.isoformat(), "stop_loss": _fraction(loss),
        "take_profit": _fraction(gain), "max_holding_bars": bars, "volume_share": _fraction(share),
        "flat_at_close": flat or None, "fractional": fractional or None,
    }  # fmt: skip


def _fraction(percent: float | None) -> float | None:
    return None if not percent else percent / 100
