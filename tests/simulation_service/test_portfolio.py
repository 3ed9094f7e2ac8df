"""One account for many symbols: equal to a Decimal oracle, to the kernel of one symbol, and to pencil arithmetic."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from simulation_service.allocation import Allocation, target_weights
from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.exposure import Limits
from simulation_service.kernel import replay
from simulation_service.panel import Panel
from simulation_service.portfolio import PortfolioReplay, hold_evenly, replay_portfolio
from simulation_service.rebalance import Rebalance
from simulation_service.rules import Direction, Reason, Rules
from simulation_service.sizing import FixedFraction, FractionalKelly, SignalWeight
from simulation_service.ticks import FloatArray
from tests.simulation_service.portfolio_oracle import OracleBar, OracleCosts, OraclePortfolio, OraclePosition

FIRST = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
MILLION = 1_000_000
NAN = math.nan
BOTH = Rules(direction=Direction.BOTH)

Row = tuple[float, float, int]
"""Open, close, volume."""


def stamp(minute: int) -> dt.datetime:
    return FIRST + dt.timedelta(minutes=minute)


def frame(rows: dict[int, Row], minutes_per_session: int = 10**6) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "timestamp": [stamp(minute) for minute in rows],
            "session": [FIRST.date() + dt.timedelta(days=minute // minutes_per_session) for minute in rows],
            "open": [row[0] for row in rows.values()],
            "high": [max(row[:2]) for row in rows.values()],
            "low": [min(row[:2]) for row in rows.values()],
            "close": [row[1] for row in rows.values()],
            "volume": [row[2] for row in rows.values()],
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
    )


def panel_of(symbols: dict[str, dict[int, Row]], minutes_per_session: int = 10**6) -> Panel:
    return Panel.of({name: frame(rows, minutes_per_session) for name, rows in symbols.items()}, halts=())


def flat_prices(*prices: float) -> dict[int, Row]:
    return {minute: (price, price, 10**6) for minute, price in enumerate(prices)}


def run(panel: Panel, signals: Sequence[Sequence[float]], cash: int = 100_000, **options: Any) -> PortfolioReplay:
    """Signals by symbol, cash in dollars."""
    options.setdefault("allocation", Allocation())
    return replay_portfolio(np.array(signals, dtype=float).T, panel, cash_ticks=cash * 10_000, **options)


def dollars(ticks: FloatArray) -> list[float]:
    return [float(tick) / 10_000 for tick in ticks]


def trades(done: PortfolioReplay) -> list[tuple[int, int, float, float]]:
    """Bar, symbol, shares, dollars."""
    made = done.account
    return [
        (int(bar), int(symbol), float(shares), float(price) / 10_000)
        for bar, symbol, shares, price in zip(
            made.fill_bars, done.fill_symbols, made.fill_shares, made.fill_prices, strict=True
        )
    ]


def test_two_symbols_share_the_account_by_hand() -> None:
    panel = panel_of({"A": flat_prices(10, 10, 20, 20), "B": flat_prices(30, 30, 30, 33)})
    done = run(panel, [[1, 1, 0, NAN], [NAN, 1, 1, 1]], cash=1_000)
    # Half of 1,000 at 10 is 50 A. Then the account is 500 + 50 * 20 = 1,500; half of it is 750, cash is 500: 16 B.
    # The sale of A at 20 comes a minute later.
    assert trades(done) == [(1, 0, 50.0, 10.0), (2, 1, 16.0, 30.0), (3, 0, -50.0, 20.0)]
    assert dollars(done.account.cash) == [1_000.0, 500.0, 20.0, 1_020.0]
    assert dollars(done.account.equity) == [1_000.0, 1_000.0, 1_500.0, 1_548.0]
    assert done.account.fill_signal_bars.tolist() == [0, 1, 2]


def test_a_sale_pays_for_a_purchase_of_the_same_minute_whatever_the_order_of_symbols() -> None:
    panel = panel_of({"A": flat_prices(10, 10, 10), "B": flat_prices(20, 20, 20)})
    whole = Allocation(FixedFraction(1.0))
    done = run(panel, [[0, 1, NAN], [1, 0, NAN]], cash=1_000, allocation=whole)
    assert trades(done) == [(1, 1, 50.0, 20.0), (2, 1, -50.0, 20.0), (2, 0, 100.0, 10.0)]


def test_rebalancing_by_session_by_hand() -> None:
    panel = panel_of({"A": flat_prices(10, 10, 20, 20), "B": flat_prices(10, 10, 10, 10)}, minutes_per_session=2)
    hold = [[1, 1, 1, 1], [1, 1, 1, 1]]
    done = run(panel, hold, cash=1_000, allocation=Allocation(rebalance=Rebalance.parse("session")))
    # 50 of each at 10. Then 50 * 20 + 50 * 10 = 1,500, half of it 750: sell 13 A down to 37, buy 25 B up to 75.
    assert trades(done) == [(1, 0, 50.0, 10.0), (1, 1, 50.0, 10.0), (2, 0, -13.0, 20.0), (2, 1, 25.0, 10.0)]


def test_a_position_within_its_drift_is_left_alone() -> None:
    panel = panel_of({"A": flat_prices(10, 10, 20, 20), "B": flat_prices(10, 10, 10, 10)}, minutes_per_session=2)
    hold = [[1, 1, 1, 1], [1, 1, 1, 1]]
    # A is 1,000 of 1,500 and is wanted at 750: 13 shares, 260 of 1,500 or 17.3 %, too much.
    wide = Rebalance.parse("session", drift=0.174)
    narrow = Rebalance.parse("session", drift=0.173)
    assert len(trades(run(panel, hold, cash=1_000, allocation=Allocation(rebalance=wide)))) == 2
    assert len(trades(run(panel, hold, cash=1_000, allocation=Allocation(rebalance=narrow)))) == 3


def test_a_pair_is_long_one_and_short_the_other_without_a_loan() -> None:
    panel = panel_of({"A": flat_prices(10, 10, 11, 11), "B": flat_prices(10, 10, 9, 9)})
    done = run(panel, [[1, NAN, 0, NAN], [-1, NAN, 0, NAN]], cash=1_000, rules=BOTH)
    assert trades(done) == [(1, 0, 50.0, 10.0), (1, 1, -50.0, 10.0), (3, 0, -50.0, 11.0), (3, 1, 50.0, 9.0)]
    assert dollars(done.account.equity) == [1_000.0, 1_000.0, 1_100.0, 1_100.0]


def test_a_butterfly_takes_its_weights_from_the_signals() -> None:
    panel = panel_of(dict.fromkeys("ABC", flat_prices(10, 10)))
    signals = [[0.25, NAN], [-0.5, NAN], [0.25, NAN]]
    done = run(panel, signals, cash=1_000, rules=BOTH, allocation=Allocation(SignalWeight()))
    assert done.shares[1].tolist() == [25.0, -50.0, 25.0]


def test_an_order_is_cut_where_the_account_has_no_room_left_for_it() -> None:
    panel = panel_of({"A": flat_prices(10, 10, 15, 15), "B": flat_prices(10, 10, 10, 10)})
    half = Allocation(FixedFraction(0.5), Limits(gross=0.8))
    done = run(panel, [[1, NAN, NAN, NAN], [NAN, NAN, 1, NAN]], cash=1_000, allocation=half)
    # A alone may be 0.5: 50 shares. It is worth 750 of 1,250 when B asks for 0.4: 0.8 * 1,250 - 750 leaves 250.
    assert trades(done) == [(1, 0, 50.0, 10.0), (3, 1, 25.0, 10.0)]


def test_a_symbol_without_a_bar_waits_for_its_own_next_bar() -> None:
    panel = panel_of({"A": flat_prices(10, 10, 10, 10), "B": {0: (20, 20, 100), 3: (25, 25, 100)}})
    done = run(panel, [[NAN] * 4, [1, NAN, NAN, NAN]], cash=1_000)
    assert trades(done) == [(3, 1, 20.0, 25.0)]
    assert done.account.fill_signal_bars.tolist() == [0]


def test_a_bar_without_volume_fills_nothing_and_the_order_waits() -> None:
    rows = flat_prices(10, 10, 10, 10)
    rows[1] = (10, 10, 0)
    done = run(panel_of({"A": rows}), [[1, NAN, NAN, NAN]], cash=1_000)
    assert trades(done) == [(2, 0, 100.0, 10.0)]


def test_a_cap_on_volume_fills_an_order_in_parts() -> None:
    rows = dict.fromkeys(range(6), (10.0, 10.0, 100))
    done = run(panel_of({"A": rows}), [[1, 1, 1, NAN, NAN, NAN]], 1_000, execution=Execution(volume_share=0.4))
    assert trades(done) == [(1, 0, 40.0, 10.0), (2, 0, 40.0, 10.0), (3, 0, 20.0, 10.0)]
    assert done.account.fill_asked.tolist() == [100.0, 60.0, 20.0]
    assert done.account.fill_signal_bars.tolist() == [0, 0, 0]


def test_holding_evenly_buys_each_symbol_once() -> None:
    panel = panel_of({"A": flat_prices(10, 12), "B": {1: (40, 42, 100)}})
    done = hold_evenly(panel, cash_ticks=10_000_000)
    assert trades(done) == [(0, 0, 50.0, 10.0), (1, 1, 12.0, 40.0)]


def test_kelly_bets_nothing_before_it_has_seen_its_signals_earn() -> None:
    rising = flat_prices(*[10.0 + 0.01 * minute for minute in range(60)])
    panel = panel_of({"A": rising}, minutes_per_session=5)
    signals = [[1.0] * 60]
    weights = target_weights(np.array(signals).T, panel, Allocation(FractionalKelly(sessions=4)))
    # The first session's signals earn from its third bar on, so four whole sessions are over after the fifth.
    assert (weights[:25] == 0).all()
    assert (weights[25:] > 0).all()


def test_sizes_know_the_sessions_before_the_first_bar() -> None:
    panel = panel_of({"A": flat_prices(10, 10)})
    days = [FIRST.date() - dt.timedelta(days=back) for back in (3, 2, 1)]
    earlier = pl.DataFrame({"session": days, "A": [10.0, 11.0, 9.9]})
    from simulation_service.sizing import VolatilityTarget

    chosen = Allocation(VolatilityTarget(target=0.1, sessions=2))
    signals = np.ones((2, 1))
    assert target_weights(signals, panel, chosen).max() == 0
    found = target_weights(signals, panel, chosen, earlier_closes=earlier)
    # Returns of +10 % and -10 %: a sample deviation of sqrt(0.02).
    assert (found == round(0.1 / math.sqrt(0.02 * 252) * MILLION)).all()


def test_signals_of_another_shape_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"signals have the shape \(3, 1\), the panel \(2, 1\)"):
        run(panel_of({"A": flat_prices(10, 10)}), [[1, 1, 1]])


# Prices in cents, so that a few dozen shares are bought and every rounding matters.
PRICES = st.integers(50, 4_000).map(lambda cents: cents / 100)
BARS = st.tuples(PRICES, PRICES, st.sampled_from([0, 7, 40, 1_000]))
WEIGHTS = st.sampled_from([None, None, -1.0, -0.4, 0.0, 0.3, 0.5, 1.0])


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    minutes, symbols = draw(st.integers(2, 9)), draw(st.integers(1, 3))
    table: dict[str, dict[int, Row]] = {}
    signals = np.full((minutes, symbols), NAN)
    for number in range(symbols):
        present = [minute for minute in range(minutes) if number == 0 or draw(st.integers(0, 3)) > 0]
        rows = {minute: draw(BARS) for minute in present}
        for minute in present:
            wanted = draw(WEIGHTS)
            signals[minute, number] = NAN if wanted is None else wanted
        if rows:
            table["ABC"[number]] = rows
    return {
        "table": table,
        "signals": signals[:, [number for number in range(symbols) if "ABC"[number] in table]],
        "cash": draw(st.integers(5, 2_000)),
        "fill": draw(st.sampled_from(list(Fill))),
        "delay": draw(st.integers(0, 2)),
        "gross": draw(st.sampled_from([0.5, 1.0, 2.0])),
        "net": draw(st.sampled_from([None, 0.3])),
        "rebalance": draw(st.sampled_from(["never", "1", "2", "session"])),
        "drift": draw(st.sampled_from([0.0, 0.1])),
        "volume_share": draw(st.sampled_from([None, 0.1, 0.5])),
        "direction": draw(st.sampled_from(list(Direction))),
        "costs": draw(
            st.sampled_from([OracleCosts(), OracleCosts("7.5", "0.0035", "0.35", "0.0000278", "0.000166", "0.01")])
        ),
    }


def oracle(case: dict[str, Any], panel: Panel, weights: FloatArray) -> OraclePortfolio:
    positions = []
    for number, rows in enumerate(case["table"].values()):
        bars = {}
        for minute, (open_, close, volume) in rows.items():
            weight = weights[minute, number]
            asked = None if math.isnan(weight) else Decimal(int(weight)) / MILLION
            bars[minute] = OracleBar(Decimal(str(open_)), Decimal(str(close)), volume, asked)
        positions.append(OraclePosition(bars))
    periods = Rebalance.parse(case["rebalance"]).periods(panel.session)
    return OraclePortfolio(
        positions,
        Decimal(case["cash"]),
        at_open=case["fill"] is Fill.NEXT_OPEN,
        lag=case["delay"] + (0 if case["fill"] is Fill.SAME_CLOSE else 1),
        gross=Decimal(str(case["gross"])),
        net=None if case["net"] is None else Decimal(str(case["net"])),
        drift=Decimal(str(case["drift"] if case["rebalance"] != "never" else 0)),
        periods=None if periods is None else periods.tolist(),
        volume_share=None if case["volume_share"] is None else Decimal(str(case["volume_share"])),
        costs=case["costs"],
    ).run(panel.shape[0])


def costs_of(told: OracleCosts) -> Costs:
    return Costs(
        half_spread_bps=float(told.worse_bps),
        per_share_usd=float(told.per_share),
        per_order_usd=float(told.per_order),
        sell_fee_rate=float(told.sale_rate),
        sell_fee_per_share_usd=float(told.sale_per_share),
        sell_fee_most_usd=None if told.sale_most is None else float(told.sale_most),
    )


@pytest.mark.parametrize("examples", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_the_account_equals_the_decimal_oracle_at_every_bar(examples: int) -> None:
    settings(max_examples=examples)(given(cases())(assert_agrees))()


def assert_agrees(case: dict[str, Any]) -> None:
    """The account of a case, bar by bar and fill by fill, is that of the oracle."""
    panel = panel_of(case["table"], minutes_per_session=3)
    drift = case["drift"] if case["rebalance"] != "never" else 0.0
    allocation = Allocation(
        SignalWeight(),
        Limits(gross=case["gross"], net=case["net"]),
        Rebalance.parse(case["rebalance"], drift=drift),
    )
    execution = Execution(case["fill"], case["delay"], costs_of(case["costs"]), case["volume_share"])
    done = run(
        panel, case["signals"].T, case["cash"], allocation=allocation, execution=execution,
        rules=Rules(direction=case["direction"]),
    )  # fmt: skip
    allowed = {Direction.LONG: np.maximum, Direction.SHORT: np.minimum}.get(case["direction"])
    signals = case["signals"] if allowed is None else allowed(case["signals"], 0.0)
    told = oracle(case, panel, target_weights(signals, panel, allocation))
    for minute, (cash, held, equity) in enumerate(told.path):
        assert Decimal(int(done.account.cash[minute])) / 10_000 == cash
        assert done.shares[minute].tolist() == held
        assert Decimal(int(done.account.equity[minute])) / 10_000 == equity
    fees = [Decimal(int(fee)) / 10_000 for fee in done.account.fill_fees]
    made = [(*one[:3], Decimal(str(one[3])), fee) for one, fee in zip(trades(done), fees, strict=True)]
    assert made == told.fills


def random_symbol(seed: int, bars: int) -> tuple[pl.DataFrame, FloatArray]:
    generator = np.random.default_rng(seed)
    close = np.round(50 * np.exp(np.cumsum(generator.normal(0, 3e-3, bars))), 2)
    open_ = np.round(close * np.exp(generator.normal(0, 2e-3, bars)), 2)
    volume = generator.choice([0, 40, 1_000, 20_000], bars, p=[0.02, 0.08, 0.3, 0.6])
    rows = {minute: (open_[minute], close[minute], int(volume[minute])) for minute in range(bars)}
    signal = generator.choice([-1.0, 0.0, 1.0], bars)[(generator.random(bars) < 0.1).cumsum()]
    return frame(rows, 60), np.where(generator.random(bars) < 0.05, NAN, signal)


def one_symbol(seed: int, bars: int) -> tuple[Panel, FloatArray]:
    """A panel of a single symbol whose sessions end every hour."""
    table, signal = random_symbol(seed, bars)
    panel = Panel.of({"A": table}, halts=())
    ends = np.arange(bars) % 60 == 59
    return dataclasses.replace(panel, markets=(dataclasses.replace(panel.markets[0], session_end=ends),)), signal


FRACTIONS = st.sampled_from([None, None, 0.002, 0.01, 0.05])
RULES = st.builds(
    Rules,
    direction=st.sampled_from(list(Direction)),
    fractional=st.booleans(),
    stop_loss=FRACTIONS,
    take_profit=FRACTIONS,
    trailing_stop=FRACTIONS,
    flat_at_close=st.booleans(),
    max_holding_bars=st.sampled_from([None, None, 1, 7]),
    max_drawdown=st.sampled_from([None, None, 0.1, 0.3]),
    daily_loss_limit=st.sampled_from([None, None, 0.01, 0.03]),
)
EXECUTIONS = st.builds(
    Execution,
    fill=st.sampled_from(list(Fill)),
    delay_bars=st.integers(0, 2),
    costs=st.sampled_from([Costs(), Costs(2.0, 1.5, 0.0035, 0.35, 0.0000278, 0.000166, 8.3)]),
    volume_share=st.sampled_from([None, None, 0.1, 0.5]),
)


@pytest.mark.parametrize("examples", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_one_symbol_with_the_whole_account_is_the_kernel_of_one_symbol(examples: int) -> None:
    cash = st.sampled_from([900, 12_345, 1_000_000])
    settings(max_examples=examples)(given(RULES, EXECUTIONS, st.integers(0, 50), cash)(assert_one_is_many))()


def assert_one_is_many(rules: Rules, execution: Execution, seed: int, cash: int) -> None:
    """The account of a panel of one symbol is that of the kernel of one symbol, column by column."""
    # What is left of an order to go short is limited by cash there, and by exposure here.
    assume(rules.direction is Direction.LONG or execution.volume_share is None)
    panel, signal = one_symbol(seed, 300)
    chosen = Allocation(FixedFraction(1.0), Limits(gross=100.0))
    terms: dict[str, Any] = {"cash_ticks": cash * 10_000, "execution": execution, "rules": rules}
    one = replay(signal, panel.markets[0], **terms)
    many = replay_portfolio(signal[:, None], panel, allocation=chosen, **terms).of_symbol(0, panel.rows[0])
    for column in dataclasses.fields(one):
        theirs, ours = getattr(one, column.name), getattr(many, column.name)
        assert np.array_equal(theirs, ours), column.name


def test_the_examples_of_one_symbol_leave_for_every_reason() -> None:
    """The comparison above would prove nothing of a rule that never acts."""
    found = set()
    for name, value in {
        "stop_loss": 0.01, "take_profit": 0.01, "trailing_stop": 0.01, "flat_at_close": True, "max_holding_bars": 3,
        "max_drawdown": 0.05, "daily_loss_limit": 0.005,
    }.items():  # fmt: skip
        panel, signal = one_symbol(1, 300)
        rules = Rules(direction=Direction.BOTH, **{name: value})
        made = replay_portfolio(signal[:, None], panel, cash_ticks=10**9, allocation=Allocation(), rules=rules)
        found |= set(made.account.fill_reasons.tolist())
    assert found >= {int(reason) for reason in Reason} - {Reason.MARGIN, Reason.REBALANCE}


def test_later_bars_change_nothing_that_was_done_before() -> None:
    frames = {name: random_symbol(seed, 400) for seed, name in enumerate("ABC")}
    signals = np.column_stack([signal for _, signal in frames.values()])
    panel = Panel.of({name: bars for name, (bars, _) in frames.items()}, halts=())
    chosen = Allocation(limits=Limits(gross=0.9, correlation=0.2, correlation_sessions=3))
    before = run(panel, signals.T, allocation=chosen)
    for cut in (57, 200, 311):
        later = pl.int_range(pl.len()) >= cut
        shaken = {
            name: bars.with_columns(pl.when(later).then(pl.col(price) * 1.5).otherwise(price).round(2).alias(price)
                                    for price in ("open", "high", "low", "close"))
            for name, (bars, _) in frames.items()
        }  # fmt: skip
        turned = np.vstack([signals[:cut], 1 - signals[cut:]])
        after = run(Panel.of(shaken, halts=()), turned.T, allocation=chosen)
        assert np.array_equal(before.account.equity[:cut], after.account.equity[:cut])
        assert np.array_equal(before.shares[:cut], after.shares[:cut])
        assert not np.array_equal(before.account.equity, after.account.equity)
