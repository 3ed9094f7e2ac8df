# %% [markdown]
# # What did I know then?
#
# Sources correct their bars. A backtest that is run again must see what was held when it was first run, and whoever
# looks into a difference wants to see the old values beside the new. The lake keeps both. The bars are made up (feed
# `synthetic`).

# %%
import datetime as dt
import tempfile
from pathlib import Path

import polars as pl

import barlake
from barlake.snapshots import session_differences
from barlake.testing import make_bars

folder = Path(tempfile.mkdtemp(prefix="tutorial-"))
sessions = [dt.date(2024, 1, day) for day in (8, 9, 10)]

# %% [markdown]
# ## First answer
#
# A snapshot is a moment and one hash over everything held: keep it with your results.

# %%
lake = barlake.open(folder / "lake")
lake.write_bars(make_bars(sessions, seed=1), feed="synthetic", symbol="SPY")
first = lake.snapshot("SPY")
before = lake.bars("SPY")
print(first.moment, first.root_hash)

# %% [markdown]
# ## Two corrections
#
# The same rows with other values replace those held; the old ones go to `revisions`.

# %%
noon = dt.datetime(2024, 1, 9, 17, tzinfo=dt.UTC)
wrong = before.filter(pl.col("timestamp").is_between(noon, noon + dt.timedelta(minutes=2)))
values = ["timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap"]
report = lake.write_bars(wrong.select(values).with_columns(pl.col("volume") * 2), feed="synthetic", symbol="SPY")
assert report.changed == 3
second = lake.snapshot("SPY")

lake.write_bars(wrong.select(values).head(1).with_columns(volume=pl.lit(1)), feed="synthetic", symbol="SPY")
third = lake.snapshot("SPY")
assert len({first.root_hash, second.root_hash, third.root_hash}) == 3

# %% [markdown]
# ## Each state again
#
# `as_of` reads exactly what the lake held at an instant, in every form and timeframe.

# %%
at_noon = pl.col("timestamp") == noon
volumes = [lake.bars("SPY", as_of=one.moment).filter(at_noon)["volume"].item() for one in (first, second, third)]
print(volumes)
assert volumes == [volumes[0], 2 * volumes[0], 1]
assert lake.bars("SPY", as_of=first.moment).equals(before)

daily = [lake.bars("SPY", timeframe="1Day", as_of=one.moment)["volume"].sum() for one in (first, third)]
assert daily[0] == before["volume"].sum() != daily[1]

# %% [markdown]
# ## Old beside new

# %%
revisions = lake.revisions("SPY", "2024-01-09", "2024-01-10")
print(revisions.select("timestamp", "kind", "known_from", "known_until", "volume_old", "volume_new"))
assert revisions.height == 4  # three bars of the first correction, one of the second

# %% [markdown]
# ## The layout does not matter
#
# A rollup makes one file of each closed month and year. The root hash is over values, so it stays, and so does every
# earlier state.

# %%
lake.rollup()
assert lake.snapshot("SPY").root_hash == third.root_hash
assert lake.bars("SPY", as_of=first.moment).equals(before)

# %% [markdown]
# ## Two lakes
#
# Equal roots mean equal bars. Where they differ, the hashes of sessions say where, and no bar is read: from the
# shell, `barlake diff LAKE_A LAKE_B`.

# %%
other = barlake.open(folder / "other")
other.write_bars(before.select(values), feed="synthetic", symbol="SPY")
assert other.snapshot("SPY").root_hash == first.root_hash

difference = session_differences(lake.manifest.held(), other.manifest.held())
print(difference)
assert difference.select("session", "difference").rows() == [(dt.date(2024, 1, 9), "differs")]

# %%
lake.close()
other.close()
