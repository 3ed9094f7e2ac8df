"""What the sandbox offers, and what each of it shows. What is not named here is not offered.

Left out on purpose: `catalogue_info` (the place of the lake), `quarantine` and `receipts` (names of files, and what
sources said), `strategies` (what people call their code).
"""

from __future__ import annotations

__all__ = ["FEATURES", "NOTES"]

FEATURES = "Newest version of a feature set; a row is what was known when its bar had ended."

NOTES = {
    "bars": "Minute bars, raw: the opening instant in UTC, dollars, shares.",
    "bars_adjusted": "The same bars by splits and dividends, in the terms of the last session held.",
    "bars_in_parts": "Minute bars with the part of the day they lie in: pre, regular or post.",
    "bars_5m": "Five-minute bars made from minute bars, split at the open and the close.",
    "bars_15m": "Fifteen-minute bars, likewise.",
    "bars_1h": "Hourly bars, likewise.",
    "bars_1d": "One bar for each regular session, made from minute bars.",
    "bars_with_source": "Minute bars with the source that delivered each.",
    "bars_of": "Minute bars of one symbol: bars_of('SPY').",
    "bars_between": "The same between two sessions or instants: bars_between('SPY', '2024-01-02', '2024-02-01').",
    "bars_as_of": "Minute bars as the lake held them at an instant: bars_as_of('2024-03-15T21:00:00Z').",
    "revisions": "Values that minute bars once had, from ingested_at until superseded_at.",
    "bars_daily": "Daily bars as sources state them; `preferred` marks the one meant when no source is named.",
    "bars_daily_versions": "Every version of every daily bar.",
    "bars_daily_known_by": "Daily bars that could be known at an instant.",
    "bars_daily_as_of": "Daily bars the lake held at an instant.",
    "news": "Articles, the version that stands.",
    "news_versions": "Every version of every article.",
    "news_known_by": "Articles that could be known at an instant.",
    "news_as_of": "Articles the lake held at an instant.",
    "macro": "Macro-economic observations, the version that stands.",
    "macro_versions": "Every version of every observation.",
    "macro_known_by": "Observations that could be known at an instant.",
    "macro_as_of": "Observations the lake held at an instant.",
    "sessions": "The calendar of the New York Stock Exchange: each session with its open and close in UTC.",
    "symbols": "What is held: one row for each feed and symbol.",
    "coverage": "Each session held, with the bars that are there and those that are expected.",
    "gaps": "Sessions with absent regular minutes, and why.",
    "quality": "What the checks of bars found.",
    "corporate_actions": "Splits, dividends and the like, as each source states them.",
    "adjustment_factors": "What the sessions before each ex-date are multiplied by.",
    "adjustment_buckets": "The same factors cut into quarters, for joining on equal keys.",
    "commits": "When rows came into the lake, and from which source.",
    "feature_versions": "Feature tables that were built: set, version, feed, symbol, rows.",
    "feature_quality": "What was measured of each feature.",
    "feature_drift": "How each feature drifts from month to month.",
    "feature_nulls": "Where features are absent.",
    "models": "Trained models, with parameters, inputs and results as JSON text.",
    "runs": "Simulated runs, likewise.",
    "sweeps": "Sweeps over parameters, likewise.",
    "trades": "Round trips of every run.",
    "equity": "Equity curve of every run, bar by bar.",
    "trials": "The ledger of trials, each with its outcome.",
}
"""Name in the catalogue -> what it shows."""
