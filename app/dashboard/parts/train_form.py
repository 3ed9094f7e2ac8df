"""What to train, asked in plain words, and put into the queue as a job."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from app.dashboard.parts import look
from app.dashboard.parts.job_list import watch_jobs
from app.dashboard.parts.lake import lake, queue
from app.use_cases.training import estimators_for, queue_training, trainable
from training_service.folds import Window
from training_service.labels import Target
from training_service.presets import DEFAULT_PRESET
from training_service.targets import TO_CLOSE

__all__ = ["train_form", "train_tab"]

_SETTLED = ("name", "feed", "session", "adjustment")
_SAID = {
    Target.DIRECTION.value: "direction: up or not",
    Target.RETURN.value: "return: log return",
    Target.SCALED_RETURN.value: "scaled return: in units of recent volatility",
    Target.TRIPLE_BARRIER.value: "triple barrier: which barrier is met first",
}


def train_tab(*, shown: str, first_tab: str) -> None:
    """Draw the questions, and below them the jobs; parameters as in `watch_jobs`."""
    train_form()
    watch_jobs("train", shown=shown, first_tab=first_tab, result="model")


@look.errors_told()
def train_form() -> None:
    """Draw the questions and the button; what is chosen decides what else is asked."""
    tables = trainable(lake())
    if tables.is_empty():
        look.empty_state("There is nothing to learn from yet.", "Build features first, as with `barlake features SPY`.")
        return
    kinds = tables.select(_SETTLED).unique(maintain_order=True).rows()
    kind = st.selectbox("Features", kinds, format_func=_kind_in_words, key="train_features")
    own = tables.filter(pl.all_horizontal(pl.col(name) == value for name, value in zip(_SETTLED, kind, strict=True)))
    symbols = _symbols(own["symbol"].to_list())
    options = dict(zip(("feature_set", "feed", "session", "adjustment"), kind, strict=True)) | _question() | _model()
    st.caption(
        "Walk-forward: each fold is tested on what follows its training. Every training is on record, whatever "
        "comes of it: the more is tried, the better the best of it looks by chance."
    )
    if st.button("Train", type="primary", icon=":material/model_training:", key="train_start"):
        job = queue_training(lake(), queue(), symbols, options)
        st.success(f"Queued as job `{job}`. How far it is stands below.", icon=":material/schedule:")


def _kind_in_words(kind: tuple[str, ...]) -> str:
    name, feed, session, adjustment = kind
    return f"{name}: feed {feed}, {session} hours, {adjustment} prices"


def _symbols(held: list[str]) -> list[str]:
    left, right = st.columns(2)
    first = left.selectbox("Symbol to predict", held, key="train_symbol")
    context = right.multiselect(
        "Context symbols", [one for one in held if one != first], key="train_context", placeholder="None",
        help="Their features stand beside those of the symbol, minute by minute.",
    )  # fmt: skip
    return [first, *context]


def _question() -> dict[str, Any]:
    left, middle, right = st.columns([2, 1, 1], vertical_alignment="bottom")
    target = left.selectbox("What to predict", list(_SAID), format_func=_SAID.__getitem__, key="train_target")
    to_close = right.checkbox("To the close", key="train_to_close", help="Instead of a number of minutes.")
    minutes = middle.number_input("Minutes ahead", 1, 390, 5, key="train_horizon", disabled=to_close)
    return {"target": target, "horizon": TO_CLOSE if to_close else str(minutes)}


def _model() -> dict[str, Any]:
    known = estimators_for(st.session_state["train_target"])
    left, right = st.columns(2)
    place = known.index(DEFAULT_PRESET) if DEFAULT_PRESET in known else 0
    chosen: dict[str, Any] = {
        "estimator": left.selectbox("Estimator", known, index=place, key="train_estimator"),
        "folds": right.number_input("Walk-forward folds", 1, 50, 5, key="train_folds"),
    }
    with st.expander("More", icon=":material/tune:"):
        left, right = st.columns(2)
        window = left.selectbox("Training window", [one.value for one in Window], key="train_window", help=(
            "anchored trains on all that came before, rolling on the last stretch."))  # fmt: skip
        embargo = right.number_input("Sessions left out before each test", 0, 60, 0, key="train_embargo")
        select = left.number_input("Columns to keep", 1, None, None, key="train_select", placeholder="All")
        calibration = right.selectbox(
            "Calibration of probabilities",
            ["sigmoid", "isotonic"],
            index=None,
            key="train_calibration",
            placeholder="None",
        )
        placebo = left.number_input("Fits on shifted labels, for a p-value", 0, 1000, 0, key="train_placebo")
        seed = right.number_input("Seed", 0, None, 0, key="train_seed")
    more = {
        "window": window, "embargo": embargo, "select": select, "calibration": calibration, "placebo": placebo,
        "seed": seed,
    }  # fmt: skip
    return chosen | more
