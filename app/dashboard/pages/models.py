"""Models: train one by a job, read its verdict, its scores beside baselines and its folds, compare several."""

from __future__ import annotations

import polars as pl
import streamlit as st

from app.dashboard.parts import look
from app.dashboard.parts.chosen import choose_shown, take_over
from app.dashboard.parts.lake import lake
from app.dashboard.parts.model_sections import show_model
from app.use_cases.model_comparison import compare_models
from app.use_cases.models import list_models, names_of_models

__all__ = ["page"]

SHOWN = "models"
"""Key of the choice, and its name in the address: `models?models=1f2e...`."""

_TABS = ("Models", "Train a model")
_COLUMNS = (
    "symbols", "target", "horizon", "value", "baseline", "beats_baseline", "low", "high", "metric", "estimator",
    "model",
)  # fmt: skip


def page() -> None:
    """Draw the page."""
    take_over()
    models = list_models(lake())
    look.page_header("Models", "What was learned, and whether it beats baselines that look at no feature.")
    read, train = st.tabs(_TABS, key="models_tab", on_change="rerun", bind="query-params")
    if train.open:
        with train:
            # Its libraries take seconds to load, and whoever reads does not need them.
            with st.spinner("Loading estimators"):
                from app.dashboard.parts.train_form import train_tab  # noqa: PLC0415 - as just said
            train_tab(shown=SHOWN, first_tab=_TABS[0])
    with read:
        if models.is_empty():
            look.empty_state(
                "No model was trained here yet.",
                "Train one in the tab beside this, or with `barlake train SPY`: it learns from a symbol's features.",
            )
        else:
            _read(models)


def _read(models: pl.DataFrame) -> None:
    _overview(models)
    names = names_of_models(models)
    chosen = choose_shown(names, key=SHOWN, what="model")
    if len(chosen) == 1:
        show_model(chosen[0])
    elif chosen:
        _compare(chosen, names)


def _overview(models: pl.DataFrame) -> None:
    figure = st.column_config.NumberColumn
    st.dataframe(
        models, hide_index=True, column_order=_COLUMNS,
        column_config={
            "model": "Model", "symbols": "Symbols", "target": "Target", "horizon": "Minutes",
            "estimator": "Estimator", "metric": "Measure", "value": figure("Score", format="%.4f"),
            "low": figure("95 % from", format="%.4f"), "high": figure("to", format="%.4f"),
            "baseline": figure("Baseline", format="%.4f"),
            "beats_baseline": st.column_config.CheckboxColumn("Beats it"),
        },
    )  # fmt: skip


def _compare(chosen: list[str], names: dict[str, str]) -> None:
    found = compare_models(lake(), chosen)
    (st.info if found.same_question else st.warning)(found.verdict, icon=":material/balance:")
    st.markdown("**Scores, each on its own test bars**")
    heads = {one: names[one] for one in chosen}
    st.dataframe(found.scores, hide_index=True, column_config={"metric": "", **heads})
    st.markdown("**What differs in how they were made**")
    st.dataframe(found.options, hide_index=True, height="content", column_config={"option": "", **heads})


if __name__ == "__main__":
    page()
