"""Features: what was computed from the bars, on the price, its quality, how it moved, and its newest rows."""

from __future__ import annotations

import polars as pl
import streamlit as st

from app.dashboard.parts import feature_sections, look
from app.dashboard.parts.lake import lake
from app.use_cases.feature_views import FeatureView, list_feature_tables, open_features

__all__ = ["page"]


def page() -> None:
    """Draw the page."""
    tables = list_feature_tables(lake())
    about = (
        "What was computed from the bars: on the price, where values are absent, whether they still look as they did."
    )
    look.page_header("Features", about, feeds=tables["feed"])
    if tables.is_empty():
        held = lake().symbols()
        if held.is_empty():
            look.empty_state(
                "There are no features, and no bars to compute them from.",
                "Queue a ticker on the page Ingest; its features can be built here afterwards.",
                page="ingest", label="Ingest a ticker",
            )  # fmt: skip
            return
        look.empty_state("No features were built yet.", "Choose a symbol and build the set `core` below.")
        feature_sections.build_form(held)
        return
    _view(tables)


def _view(tables: pl.DataFrame) -> None:
    view, feature = _choose(tables)
    one = view.of(feature)
    text, *details = str(one["description"]).split("\n\n", 1)
    st.markdown(f"**{feature}**: {look.plain(text.strip())}")
    facts = f"{one['family']}, {one['unit']}, from {', '.join(one['inputs'])}"
    st.caption(" ".join([look.plain(facts) + ".", *(look.plain(" ".join(part.split())) for part in details)]))
    price, quality, drift, rows, build = st.tabs(
        ["On the price", "Quality", "Drift", "Rows", "Build"], key="features_tab", on_change="rerun"
    )
    if price.open:
        with price:
            feature_sections.on_the_price(view, feature)
    if quality.open:
        with quality:
            feature_sections.quality(view, feature)
    if drift.open:
        with drift:
            feature_sections.drift(view, feature)
    if rows.open:
        with rows:
            feature_sections.rows(view)
    if build.open:
        with build:
            feature_sections.build_form(lake().symbols())


def _choose(tables: pl.DataFrame) -> tuple[FeatureView, str]:
    """Symbol, set and feature; the address of the page may name the symbol: `?symbol=SPY`."""
    with st.container(horizontal=True, gap="small"):
        symbols = tables["symbol"].unique().sort().to_list()
        symbol = st.selectbox("Symbol", symbols, key="symbol", bind="query-params", width=180)
        own = tables.filter(pl.col("symbol") == symbol)
        names = {f"{name} ({feed})": (name, feed) for name, feed in own.select("name", "feed").iter_rows()}
        chosen = st.selectbox("Set", list(names), key=f"features.set.{symbol}", width=180)
        name, feed = names[chosen]
        view = open_features(lake(), name, str(symbol), feed=feed)
        feature = st.selectbox("Feature", view.names, key=f"features.feature.{name}", width=260)
    prices = "as traded" if view.adjustment == "raw" else f"adjusted ({view.adjustment})"
    st.caption(
        f"{len(view.names)} features in {view.rows:,} rows, {view.first:%-d %b %Y} to {view.last:%-d %b %Y}; hours: "
        f"{view.session}; prices {prices}; version `{view.key.version}`, built {view.created_at:%-d %b %Y, %H:%M} UTC"
    )
    return view, str(feature)


if __name__ == "__main__":
    page()
