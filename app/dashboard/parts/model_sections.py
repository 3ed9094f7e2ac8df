"""One model on a page: its verdict first, scores beside baselines, then folds, predictions, importance and card."""

from __future__ import annotations

import polars as pl
import streamlit as st

from app.dashboard.parts import look
from app.dashboard.parts.artifact_sections import show_head, show_origin, show_own_page
from app.dashboard.parts.colours import palette
from app.dashboard.parts.lake import lake
from app.dashboard.parts.model_charts import fold_timeline, importance_chart, predictions_chart, scores_chart
from app.dashboard.parts.plots import draw
from app.dashboard.parts.refresh import refreshed
from app.use_cases.models import ModelView, card_of, view_model
from training_service.scores import Judgement
from training_service.targets import Task

__all__ = ["show_model"]

_ICONS = {
    Judgement.BEATS: ":material/check_circle:",
    Judgement.UNCLEAR: ":material/help:",
    Judgement.FAILS: ":material/cancel:",
}
_CARD_PX = 900


def show_model(model_id: str) -> None:
    """Draw everything about one model, by its id or first digits."""
    view = view_model(lake(), model_id)
    show_head(view.model, view.title, kind="model", feed=view.model.parameters["feed"])
    _verdict(view)
    _scores(view)
    _folds(view)
    _inside(view)
    show_origin(view.facts)
    if view.has_card:
        _card(view.model.id)


def _verdict(view: ModelView) -> None:
    box = {Judgement.BEATS: st.success, Judgement.UNCLEAR: st.warning, Judgement.FAILS: st.warning}[view.judgement]
    box(view.verdict, icon=_ICONS[view.judgement])
    if view.tries is not None:
        st.caption(f"{view.tries}.")
    look.page_link(
        "simulations", "Simulate it",
        asked={"runs_tab": "Simulate", "model": view.model.id},
    )  # fmt: skip


def _scores(view: ModelView) -> None:
    st.markdown("**Scores over all test rows, beside baselines that look at no feature**")
    if view.scores.is_empty():
        st.caption("This model has no scores of this kind: its verdict has what there is.")
        return
    names = {"value": "model", "low": "95 % from", "high": "to", **view.baselines}
    shown = view.scores.with_columns(metric=pl.Series(map(view.title_of, view.scores["metric"]), dtype=pl.String))
    figures = {column: st.column_config.NumberColumn(label, format="%.4f") for column, label in names.items()}
    st.dataframe(shown, hide_index=True, column_config={"metric": "", **figures}, placeholder="\N{EN DASH}")


@refreshed()
def _folds(view: ModelView) -> None:
    metrics = view.fold_scores["metric"].unique(maintain_order=True).to_list()
    if not metrics:
        return
    st.markdown("**Fold by fold**")
    chosen = st.selectbox("Measure", metrics, format_func=view.title_of, key="fold_measure", width=280)
    colours = palette()
    one = view.fold_scores.filter(metric=chosen)
    draw(
        scores_chart(one, colours, metric=view.title_of(chosen)), key="fold_scores",
        alt=f"{chosen} of the model with its interval beside the baseline, over all test rows and in each fold",
    )  # fmt: skip
    if not view.fold_spans.is_empty():
        st.caption("Every test lies behind the training it is predicted from; labels that reach into it are purged.")
        draw(fold_timeline(view.fold_spans, colours), key="fold_spans", alt="When each fold trains and is tested")


def _inside(view: ModelView) -> None:
    colours = palette()
    left, right = st.columns(2)
    with left:
        st.markdown("**What it said, over all test bars**")
        is_class = view.task is Task.CLASSIFICATION
        draw(
            predictions_chart(
                view.predictions, colours, middle=0.5 if is_class else 0.0,
                label="probability of up" if is_class else "prediction",
            ),
            key="predictions", alt="Histogram of the predictions",
        )  # fmt: skip
    with right:
        st.markdown("**What it looked at**")
        if view.importance.is_empty():
            st.caption("This model came without the importance of its features.")
        else:
            draw(
                importance_chart(view.importance, colours),
                key="importance",
                alt="Features by what the model loses without",
            )


@refreshed()
def _card(model_id: str) -> None:
    """The page is large: it is read when somebody wants it."""
    show_own_page(card_of(lake(), model_id), "card", file_name=f"model-{model_id}.html", height=_CARD_PX)
