# %% [markdown]
# # A strategy that looked too good
#
# From an idea to what it is worth: a strategy of your own, the ladder of optimism, the tear sheet, a sweep, and the
# futures it might have had. The bars are a random walk seen through a bid and an ask (feed `synthetic`), so nothing
# can be earned on them; the point is how soon one sees that.

# %%
import datetime as dt
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

import barlake
from barlake.errors import LookAheadError
from barlake.testing import make_bars
from simulation_service.costs import Costs
from simulation_service.execution import Execution
from simulation_service.plan import SimulationPlan, StrategySource
from simulation_service.rules import Rules
from simulation_service.scenarios.of_runs import monte_carlo, run_scenarios
from simulation_service.simulate import simulate
from simulation_service.sweeps.grid import Grid
from simulation_service.sweeps.sweep import sweep

folder = Path(tempfile.mkdtemp(prefix="tutorial-"))
lake = barlake.open(folder / "lake")
sessions = lake.calendar.frame["session"]
sessions = sessions.filter(sessions.is_between(dt.date(2024, 1, 2), dt.date(2024, 1, 31))).to_list()

# %% [markdown]
# ## Trades at the bid, trades at the ask
#
# Every bar opens and closes at the bid or at the ask, six cents apart, by chance. The last trade bounces between
# them, although the price in the middle knows nothing.

# %%
drawn = make_bars(sessions, seed=1)
chance = np.random.default_rng(2)
opens = (drawn["open"] + chance.choice([-0.03, 0.03], drawn.height)).round(2)
closes = (drawn["close"] + chance.choice([-0.03, 0.03], drawn.height)).round(2)
bars = drawn.with_columns(
    opens.alias("open"),
    closes.alias("close"),
    pl.max_horizontal(drawn["high"], opens, closes).alias("high"),
    pl.min_horizontal(drawn["low"], opens, closes).alias("low"),
)
lake.write_bars(bars, feed="synthetic", symbol="SPY")
assert bars.height == 21 * 390

# %% [markdown]
# ## A strategy
#
# One class with one method: the position wanted in each bar, from what is known when the bar is complete.

# %%
module = folder / "my_dip.py"
module.write_text('''"""Buy what just fell."""

import polars as pl

from simulation_service.strategies.base import Strategy


class Dip(Strategy):
    """Long after a fall, out after a rise; the comparison is with `look_bars` bars ago."""

    def __init__(self, look_bars: int = 1) -> None:
        self.look_bars = look_bars

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        step = bars["close"] - bars["close"].shift(self.look_bars)
        return (step < 0).cast(pl.Float64)
''')
name = f"{module}:Dip"
report = simulate(lake, SimulationPlan(("SPY",), StrategySource(name)))
account = report.results["account"]
print(f"100,000 dollars became {account['final_value_usd']:,.2f} with {account['fills']:,} fills")
assert report.is_new
assert account["fills"] > 1000

# %% [markdown]
# ## The ladder of optimism
#
# Whoever fills at the very close that the signal was made of has found gold. At the next open nothing of it is left,
# and costs do the rest.

# %%
ladder = report.results["ladder"]
for rung in ladder["rungs"]:
    print(f"{rung['name']:>24}  {rung['total_return']:>8.1%}")
returns = [rung["total_return"] for rung in ladder["rungs"]]
assert len(returns) == 6
assert returns[0] > 0.1
assert returns[1] < returns[0] / 2
assert returns[-1] < returns[1]

# %% [markdown]
# ## A strategy that looks ahead does not run
#
# One of your own is proven before its first run: the future is changed, and no earlier signal may change with it.

# %%
peeking = folder / "my_peek.py"
peeking.write_text(module.read_text().replace("shift(self.look_bars)", "shift(-self.look_bars)"))
refusal = ""
try:
    simulate(lake, SimulationPlan(("SPY",), StrategySource(f"{peeking}:Dip")))
except LookAheadError as error:
    refusal = str(error)
print(refusal)
assert "looks 1 rows (0:01:00) ahead, at bars.close" in refusal

# %% [markdown]
# ## Costs, a stop, and the tear sheet
#
# The page needs nothing but itself; `barlake runs report ID --pdf FILE` sets it on A4. The folder beside it holds
# orders, fills, trades and the account, bar by bar, and SQL sees those of all runs.

# %%
plan = SimulationPlan(
    ("SPY",),
    StrategySource(name, {"look_bars": 5}),
    execution=Execution(costs=Costs(half_spread_bps=0.5, per_share_usd=0.005)),
    rules=Rules(stop_loss=0.01, flat_at_close=True),
)
report = simulate(lake, plan)
print(report.report_path)
assert "<script" not in report.report_path.read_text(encoding="utf-8")
profits = lake.sql("select run, count(*) as trades, sum(profit_usd) as profit from trades group by run")
print(profits)
assert profits.height == 2

# %% [markdown]
# ## A sweep, and what the best of it is worth
#
# Every set is a trial on record. The best of many looks good by being the best; the deflated Sharpe ratio is how
# likely that is more than luck.

# %%
tried = sweep(lake, plan, Grid.parse(["look_bars=1:8:1", "stop_loss=none,0.01"]), workers=1)
print(tried.table.select("look_bars", "stop_loss", "sharpe", "final_value_usd").head(3))
print(tried.sweep.results["deflation"])
assert tried.table.height == 16
assert tried.sweep.results["deflation"]["trials"] >= 16

# %% [markdown]
# ## What else could have happened
#
# The same account through shocks, and through a thousand futures drawn from its own sessions.

# %%
shocks, _ = run_scenarios(lake, report.run_id, names=["gap_down_10"])
print(shocks.table().select("scenario", "total_return", "worst_session", "fills"))
assert shocks.table()["synthetic"].all()
futures = monte_carlo(lake, report.run_id, paths=1000, sessions=252).as_dict()
print(f"risk of ruin within a year: {futures['risk_of_ruin']:.0%}")
assert futures["paths"] == 1000
assert futures["risk_of_ruin"] > 0.9

# %%
lake.close()
