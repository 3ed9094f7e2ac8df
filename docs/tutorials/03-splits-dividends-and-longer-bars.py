# %% [markdown]
# # Splits, dividends and longer bars, in SQL and in Python
#
# Files hold raw prices. What happened to the shares is kept beside them and applied when you read; longer bars are
# made when you read, too. The bars are made up (feed `synthetic`), and so are the split and the dividend.

# %%
import datetime as dt
import tempfile
from pathlib import Path

import polars as pl

import barlake
from barlake.testing import make_bars

folder = Path(tempfile.mkdtemp(prefix="tutorial-"))
sessions = [dt.date(2024, 1, day) for day in (8, 9, 10, 11, 12)]
split_day, dividend_day = sessions[2], sessions[4]

# %% [markdown]
# ## A split in the bars
#
# From the ex-date on, four shares stand for one: prices are a quarter, volumes four times as large.

# %%
bars = make_bars(sessions, seed=3, first_price=400.0)
split_at = dt.datetime(2024, 1, 10, 5, tzinfo=dt.UTC)  # midnight in New York
after = pl.col("timestamp") >= split_at
prices = pl.col("open", "high", "low", "close", "vwap")
as_traded = bars.with_columns(
    pl.when(after).then(prices / 4).otherwise(prices),
    pl.when(after).then(pl.col("volume") * 4).otherwise(pl.col("volume")),
)
lake = barlake.open(folder / "lake")
lake.write_bars(as_traded, feed="synthetic", symbol="XYZ")

raw = lake.bars("XYZ", timeframe="1Day", session="regular")
fall = raw["close"][2] / raw["close"][1] - 1
print(f"{fall:.0%} in one session")
assert fall < -0.7

# %% [markdown]
# ## The statements
#
# A CSV file says what happened. Every source's statement is kept, and which one counts can be asked for.

# %%
statements = folder / "actions.csv"
statements.write_text(
    f"symbol,ex_date,kind,ratio,cash_usd\nXYZ,{split_day},split,4:1,\nXYZ,{dividend_day},dividend,,0.5\n"
)
report, bad = lake.import_actions(statements, source="tutorial")
assert bad == []
print(lake.corporate_actions("XYZ").select("ex_date", "kind", "ratio", "cash_usd", "counts"))

# %% [markdown]
# ## Adjusted in Python
#
# In the terms of the last session held: the newest bars are as traded, the ones before are moved to them. `split`
# undoes the split; `all` also takes dividends off, so its returns are total returns.

# %%
split = lake.bars("XYZ", timeframe="1Day", session="regular", adjustment="split")
assert abs(split["close"][2] / split["close"][1] - 1) < 0.1
assert split["close"][4] == raw["close"][4]
assert split["volume"][0] == raw["volume"][0] * 4

total = lake.bars("XYZ", timeframe="1Day", session="regular", adjustment="all")
factor = 1 - 0.5 / raw["close"][3]
assert abs(total["close"][3] - raw["close"][3] * factor) < 1e-9
print(total.select("session", "close", "volume"))

# %% [markdown]
# ## Adjusted in SQL
#
# `bars_adjusted` is `all`; `adjustment_factors` says what the sessions before each ex-date are multiplied by.
# `bars_1d` is made of raw bars.

# %%
print(lake.sql("select ex_date, split_factor, dividend_factor, close_from from adjustment_factors order by ex_date"))
closes = lake.sql(
    "select session, arg_max(close, timestamp) as close from bars_adjusted where symbol = 'XYZ' group by all order by 1"
)
assert closes["close"].to_list() == total["close"].to_list()
days = lake.sql("select session, open, high, low, close, volume from bars_1d where symbol = 'XYZ' order by session")
assert days.equals(raw.select(days.columns))

# %% [markdown]
# ## Longer bars
#
# On New York's clock, never across the opening or the close; each says how many minutes it was made of.

# %%
hours = lake.bars("XYZ", "2024-01-08", "2024-01-09", timeframe="1Hour")
print(hours.select("timestamp", "open", "close", "minutes"))
assert hours["minutes"].to_list() == [30, 60, 60, 60, 60, 60, 60]

# %% [markdown]
# ## The same rows in other hands
#
# A DuckDB relation to query further, a pandas frame, and a lazy polars frame that reads no more of the files than it
# needs.

# %%
relation = lake.bars("XYZ", timeframe="1Day", adjustment="all", output="duckdb")
[(highest,)] = relation.aggregate("max(close)").fetchall()
assert highest == total["close"].max()

pandas = lake.bars("XYZ", adjustment="split", output="pandas").set_index("timestamp")
print(pandas["close"].resample("1D").last().dropna().round(2))
assert len(pandas) == bars.height

lazy = lake.bars("XYZ", adjustment="split", output="lazy")
recent = lazy.filter(pl.col("timestamp") >= split_at).select(pl.col("close").mean().alias("mean"))
print(recent.explain())
assert "SELECTION" in recent.explain()
assert recent.collect().item() > 0

# %%
lake.close()
