"""The parts of the page Features, one function each."""

from __future__ import annotations

import polars as pl
import streamlit as st

from app.dashboard.parts.candle_chart import candle_chart
from app.dashboard.parts.colours import palette
from app.dashboard.parts.feature_charts import add_overlay, null_chart, shift_map, spread_chart
from app.dashboard.parts.lake import lake, queue
from app.dashboard.parts.plots import draw
from app.dashboard.parts.tables import show_table
from app.use_cases.candles import candles
from app.use_cases.chart_ranges import Reach, reach_back
from app.use_cases.feature_overlay import feature_overlay
from app.use_cases.feature_views import (
    FeatureView,
    QualityView,
    feature_set_names,
    feature_spread,
    measure_now,
    measured_quality,
    newest_rows,
)

__all__ = ["build_form", "drift", "on_the_price", "quality", "rows"]

_MEASURED = "features.measured"
_SHOWN = (
    "feature",
    "family",
    "unit",
    "findings",
    "later_nulls",
    "psi",
    "ks",
    "nearest",
    "nearest_correlation",
    "importance",
)


def on_the_price(view: FeatureView, feature: str) -> None:
    """Candles with the feature among them, or below."""
    reach = st.segmented_control(
        "Range", [one.value for one in Reach], default=Reach.MONTH.value, required=True, wrap=True,
        key="features.range", label_visibility="collapsed",
    )  # fmt: skip
    sessions = lake().held(feed=view.feed, symbol=view.symbol)["session"].sort()
    start, end = reach_back(sessions, Reach(str(reach)))
    found = candles(lake(), view.symbol, start, end, session=view.session, feed=view.feed)
    if not found.count:
        st.info("No bar is held in this range.", icon=":material/event_busy:")
        return
    overlay = feature_overlay(lake(), found, view, feature)
    chart = candle_chart(found, palette(), volume=overlay.is_price)
    add_overlay(chart, overlay, palette())
    chart.figure.update_layout(dragmode=False)
    draw(chart.figure, key="features.price", alt=f"Candles of {view.symbol} with the feature {feature}")
    place = "among the candles" if overlay.is_price else "below the candles"
    st.caption(f"{feature} {place}: the value known at the end of each candle of {found.interval}.")


def quality(view: FeatureView, feature: str) -> None:
    """Figures of the whole table, a line for each feature, and where the one chosen has no value."""
    found = _quality(view)
    if found is None:
        return
    facts = found.facts
    with st.container(horizontal=True, key="tiles"):
        st.metric("Features", facts["features"])
        st.metric("Drifting", facts["drifting"], help="Stability index above 0.25 in some period.")
        st.metric("With nulls", facts["with_nulls"], help="Rows without a value after the first one.")
        st.metric("In groups", facts["grouped"], help="Rank correlation of 0.9 or more with another feature.")
    number = st.column_config.NumberColumn
    show_table(
        _without_empty(found.features.select(_SHOWN)), height=420,
        columns={
            "later_nulls": number("nulls", help="Rows without a value after the first one.", format="localized"),
            "psi": number("PSI", help="Largest stability index against the first period.", format="%.3f"),
            "ks": number("KS", help="Largest Kolmogorov-Smirnov distance to the first period.", format="%.3f"),
            "nearest_correlation": number("correlation", help="Rank correlation with the nearest.", format="%.3f"),
            "importance": number(format="%.5f", help="What the newest model loses without it."),
        },
    )  # fmt: skip
    _nulls(found, view, feature)


def _without_empty(rows: pl.DataFrame) -> pl.DataFrame:
    """Without columns that say nothing, such as importance where no model was trained."""
    return rows.select(name for name in rows.columns if rows[name].count())


def _nulls(found: QualityView, view: FeatureView, feature: str) -> None:
    """Where a feature has no value, after the rows it needs to begin with."""
    counts = found.features.row(by_predicate=pl.col("feature") == feature, named=True)
    warm_up = f"{counts['leading_nulls']:,} rows before its first value"
    if not counts["later_nulls"]:
        st.caption(f"{feature}: {warm_up}, and one in every row after.")
        return
    st.caption(f"{feature}: {warm_up}; {counts['later_nulls']:,} rows without one after, in these sessions.")
    chart = null_chart(found.nulls.filter(pl.col("feature") == feature), (view.first, view.last), palette())
    draw(chart, key="features.nulls", alt=f"Share of rows without {feature}, by session")


def drift(view: FeatureView, feature: str) -> None:
    """The spread of the feature then and now, and the shift of every feature."""
    spread = feature_spread(lake(), view, feature)
    if spread.is_empty():
        st.info(f"{feature} has no value.", icon=":material/do_not_disturb_on:")
    else:
        chart = spread_chart(spread, str(view.of(feature)["unit"]), palette())
        st.caption(f"{feature}, its first quarter of sessions beside its last one.")
        draw(chart, key="features.spread", alt=f"Values of {feature} in the first period and in the last")
    found = _quality(view)
    if found is not None:
        st.caption(
            "How far each feature's values lie from those of the first period, as population stability index: below "
            "0.1 is read as no shift, above 0.25 as a large one. A price level drifts in any year that goes somewhere."
        )
        draw(shift_map(found.shifts(), palette()), key="features.shifts", alt="Stability index by feature and period")


def rows(view: FeatureView) -> None:
    """The newest rows as they are."""
    found = newest_rows(lake(), view)
    st.caption(f"The newest {found.height} rows, the last one first; instants are UTC.")
    show_table(found, height=560)


def build_form(held: pl.DataFrame) -> None:
    """A table asked for as a job; what is current is left alone.

    Parameters
    ----------
    held
        As `Lake.symbols` gives it.
    """
    with st.form("features.build"), st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        names = held["symbol"].unique().sort().to_list()
        symbol = st.selectbox("Symbol", names, key="features.build.symbol", width=180)
        name = st.selectbox("Set", feature_set_names(), key="features.build.set", width=180)
        asked = st.form_submit_button("Build", icon=":material/construction:")
    if not asked:
        return
    from app.use_cases.rebuilding import queue_features  # noqa: PLC0415 - numeric libraries, for who asks

    jobs = queue_features(lake(), queue(), str(symbol), [str(name)])
    if jobs:
        st.success(f"Queued: {', '.join(f'`{one}`' for one in jobs)}. The agent `features` builds it.")
    else:
        st.info(f"The table {name} of {symbol} is what today's bars give: nothing is to be built.")


def _quality(view: FeatureView) -> QualityView | None:
    """What is on record, or was measured here; else the way to it, and None."""
    found = measured_quality(lake(), view)
    if found is not None:
        return found
    of = (view.key, view.symbol, view.created_at)
    kept: dict[object, QualityView] = st.session_state.setdefault(_MEASURED, {})
    if of not in kept:
        with st.container(border=True):
            st.markdown(
                f"This table was not measured since it was built. `barlake feature-quality {view.symbol}` keeps it."
            )
            if not st.button("Measure now", icon=":material/straighten:", key="features.measure"):
                return None
            with st.spinner("Measuring: some seconds for a year of minutes"):
                kept.clear()
                kept[of] = measure_now(lake(), view)
        st.rerun()
    return kept[of]
