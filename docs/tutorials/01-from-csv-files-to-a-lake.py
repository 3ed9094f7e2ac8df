# %% [markdown]
# # From a folder of CSV files to a lake
#
# Two symbols come as CSV files, one a session. One file lacks half an hour, one session is not there at all, and one
# row is no bar. We import them, ask what is here, and find what is missing. The bars are made up (feed `synthetic`):
# they say nothing about any market.
#
# Run it as a script, or cell by cell where `# %%` is understood (VS Code, Spyder, Jupytext). It works in a temporary
# folder.

# %%
import datetime as dt
import tempfile
from pathlib import Path

import polars as pl

import barlake
from barlake.quality_report import make_report
from barlake.testing import make_bars

folder = Path(tempfile.mkdtemp(prefix="tutorial-"))

# %% [markdown]
# ## The files

# %%
week = [dt.date(2024, 1, day) for day in (8, 9, 10, 11, 12)]
csv = folder / "csv"
csv.mkdir()
for seed, symbol in enumerate(("SPY", "QQQ")):
    bars = make_bars(week, seed=seed)
    for session in week:
        of_day = bars.filter(pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.date() == session)
        of_day.with_columns(symbol=pl.lit(symbol)).write_csv(csv / f"{symbol}-{session}.csv", datetime_format="%FT%TZ")

(csv / "QQQ-2024-01-10.csv").unlink()
halved = csv / "QQQ-2024-01-11.csv"
lines = halved.read_text().splitlines()
halved.write_text("\n".join(lines[:61] + lines[91:]))  # the header, an hour, half an hour lost, the rest
broken = csv / "SPY-2024-01-12.csv"
lines = broken.read_text().splitlines()
lines[10] = lines[10].replace(lines[10].split(",")[2], "0.01")  # its high, far below its low
broken.write_text("\n".join(lines))

# %% [markdown]
# ## The import
#
# Importing the same files again changes nothing, so an interrupted import is simply run again. A row that is no bar
# goes to `quarantine` with the reason, and the rest of its file comes in.

# %%
lake = barlake.open(folder / "lake")
report = lake.import_bars(csv, feed="synthetic")
print(report.total)
assert report.failures == []
assert report.total.inserted == 10 * 390 - 390 - 30 - 1
assert report.total.quarantined == 1

again = lake.import_bars(csv, feed="synthetic")
assert (again.total.inserted, again.total.unchanged) == (0, report.total.inserted)

print(lake.sql("select symbol, reason from quarantine"))

# %% [markdown]
# ## What is here
#
# Coverage is counted in regular minutes of each session, beside what the exchange's calendar expects.

# %%
print(lake.symbols())
covered = lake.coverage("QQQ")
print(covered.select("session", "regular_bars", "expected_bars"))
assert covered["regular_bars"].to_list() == [390, 390, 360, 390]

# %% [markdown]
# ## What is missing, and why
#
# Nobody asked a source, so nothing on record explains the absence: a session of which nothing is held is a `gap`, and
# minutes missing from an imported session are `unconfirmed`. A bar that is missing is never made up.

# %%
gaps = lake.gaps()
print(gaps.select("symbol", "session", "class", "missing_bars", "evidence"))
assert gaps.select("symbol", "session", "class", "missing_bars").rows() == [
    ("QQQ", dt.date(2024, 1, 10), "gap", 390),
    ("QQQ", dt.date(2024, 1, 11), "unconfirmed", 30),
    ("SPY", dt.date(2024, 1, 12), "unconfirmed", 1),
]

runs = lake.missing_minutes("QQQ", "2024-01-11", "2024-01-12").filter(pl.col("class") != "closed")
print(runs.select("first", "last", "minutes", "class", "evidence"))
assert runs["minutes"].sum() == 30

# %% [markdown]
# ## The checks, and a page with a calendar
#
# The checks look for stale runs, spikes, odd volumes and more, and change nothing. The page is what `barlake quality
# QQQ` writes: open it in a browser to see the calendar heat map.

# %%
found = lake.quality()
print(found.select("symbol", "session", "check_name", "severity", "detail"))
assert "refused_row" in found["check_name"].to_list()

# %%
page = folder / "quality-QQQ.html"
make_report(lake, "QQQ", feed="synthetic").write(page)
assert "2024-01-10" in page.read_text()
print(page)
lake.close()
