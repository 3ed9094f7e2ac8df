# %% [markdown]
# # A feature that knew too much
#
# The dearest mistake of this trade is a column that holds a little of the future. Here one is planted and found by
# name, beside an honest set and its model. The bars are a random walk (feed `synthetic`): whatever looks good here is
# too good.

# %%
import datetime as dt
import tempfile
from pathlib import Path

import polars as pl

import barlake
from app.repro.chain import reproduce
from barlake.errors import LookAheadError
from barlake.testing import make_bars
from feature_service.build import build_features
from training_service.train import train

folder = Path(tempfile.mkdtemp(prefix="tutorial-"))
lake = barlake.open(folder / "lake")
sessions = lake.calendar.frame["session"]
sessions = sessions.filter(sessions.is_between(dt.date(2024, 1, 2), dt.date(2024, 2, 29))).to_list()

# %% [markdown]
# ## Bars that nobody can predict
#
# Every minute the price takes a step of its own, up or down, that no earlier one says anything about.

# %%
bars = make_bars(sessions, seed=1)
lake.write_bars(bars, feed="synthetic", symbol="SPY")
print(f"{bars.height:,} minutes of {len(sessions)} sessions")
assert bars.height == 41 * 390

# %% [markdown]
# ## An honest set
#
# `core` looks back only. On a random walk it must not help, and the report says so.

# %%
built = build_features(lake, ["SPY"], workers=1)
assert built.files_written == 1
honest = train(lake, "SPY", folds=3, estimator="logistic")
print(honest.verdict)
assert not honest.beats_baseline

# %% [markdown]
# ## A set that peeks
#
# A smoothed return looks harmless. But its window is centred: half of it has not happened yet.

# %%
module = folder / "my_features.py"
module.write_text('''"""A set with one column too good to be true."""

import polars as pl

from feature_service.declare import feature
from feature_service.feature_set import FeatureSet
from feature_service.returns import log_return


@feature(unit="log return", history_bars=5)
def smooth_return(*, window_bars: int) -> pl.Expr:
    """Mean log return around the bar.

    Formula: mean of the log returns of `window_bars` bars, the middle one here.
    Source: made up.
    """
    return pl.col("close").log().diff().rolling_mean(window_bars, center=True)


SET = FeatureSet(
    "peeking",
    (log_return.named("log_return_5", span_bars=5), smooth_return.named("smooth_return_5", window_bars=5)),
)
''')
refusal = ""
try:
    build_features(lake, ["SPY"], set_name=str(module), workers=1)
except LookAheadError as error:
    refusal = str(error)
print(refusal)
assert "smooth_return_5" in refusal
assert "log_return_5'" not in refusal

# %% [markdown]
# ## What it would have said
#
# Nothing of the refused set was written. Made by hand, the column would have looked like the discovery of a lifetime:
# it goes with the next five minutes, of which it has seen two.

# %%
step = bars["close"].log().diff()
peeking = step.rolling_mean(5, center=True)
ahead = bars["close"].log().shift(-5) - bars["close"].log()
both = pl.DataFrame({"peeking": peeking, "ahead": ahead}).drop_nulls()
correlation = both.select(pl.corr("peeking", "ahead")).item()
print(f"correlation with the next five minutes: {correlation:.2f}")
assert correlation > 0.3
assert lake.feature_tables.versions("peeking").is_empty()

# %% [markdown]
# ## Made again
#
# A model names its features, these name their bars. Made again in a folder of its own, it must be the same to the bit.

# %%
report = reproduce(lake, honest.model_id)
print(report.verdict)
assert report.same

# %%
lake.close()
