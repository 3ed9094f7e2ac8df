"""Costs, limits and exits of the compiled kernel, bar by bar beside the Decimal oracle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import Replay, replay
from simulation_service.market import Market
from simulation_service.rules import Direction, Reason, Rules
from simulation_service.ticks import TICKS_PER_DOLLAR, FloatArray
from tests.simulation_service.oracle import OracleAccount, OracleBar, decimal_replay

Prices = tuple[int, int, int, int]  # open, high, low, close in ticks


@dataclass(frozen=True)
class Case:
    """Everything that a replay is made of, in ticks."""

    prices: Sequence[Prices]
    signals: Sequence[float | None]
    volumes: Sequence[float]
    sessions: Sequence[int]
    halted: Sequence[bool]
    cash: int
    execution: Execution
    rules: Rules

    def ends(self) -> list[bool]:
        later = [*self.sessions[1:], -1]
        return [now != following for now, following in zip(self.sessions, later, strict=True)]

    def replayed(self) -> Replay:
        open_, high, low, close = (np.array(column, dtype=np.float64) for column in zip(*self.prices, strict=True))
        volume = np.array(self.volumes, dtype=np.float64)
        market = Market.from_ticks(
            open_,
            close,
            high=high,
            low=low,
            volume=volume,
            session_number=np.array(self.sessions, dtype=np.int64),
            session_end=np.array(self.ends()),
            tradable=(volume > 0) & ~np.array(self.halted),
        )
        signal = np.array([math.nan if value is None else value for value in self.signals], dtype=np.float64)
        return replay(signal, market, cash_ticks=self.cash, execution=self.execution, rules=self.rules)

    def judged(self) -> OracleAccount:
        rows = [
            OracleBar(
                *(Decimal(price) / TICKS_PER_DOLLAR for price in prices),
                volume=Decimal(str(volume)),
                session=session,
                ends_session=last,
                tradable=volume > 0 and not halted,
            )
            for prices, volume, session, last, halted in zip(
                self.prices, self.volumes, self.sessions, self.ends(), self.halted, strict=True
            )
        ]
        return decimal_replay(rows, self.signals, Decimal(self.cash) / TICKS_PER_DOLLAR, self.execution, self.rules)


def dollars(ticks: FloatArray) -> list[Decimal]:
    return [Decimal(int(tick)) / TICKS_PER_DOLLAR for tick in ticks]


def shares(values: FloatArray) -> list[Decimal]:
    return [Decimal(repr(value)).quantize(Decimal("0.000001")) for value in values.tolist()]


def assert_agrees(done: Replay, oracle: OracleAccount) -> None:
    fills = oracle.fills
    assert done.fill_bars.tolist() == [fill.bar for fill in fills]
    assert [Reason(reason).label for reason in done.fill_reasons] == [fill.reason for fill in fills]
    assert shares(done.fill_shares) == [fill.shares for fill in fills]
    assert dollars(done.fill_prices) == [fill.price for fill in fills]
    assert dollars(done.fill_fees) == [fill.fee for fill in fills]
    assert done.fill_signal_bars.tolist() == [fill.signal_bar for fill in fills]
    assert shares(done.fill_asked) == [fill.asked for fill in fills]
    assert dollars(done.cash) == oracle.cash_path
    assert shares(done.shares) == oracle.shares_path
    assert dollars(done.equity) == oracle.equity_path


rates = st.sampled_from([0.0, 0.5, 1.0, 2.25, 37.0])
fractions = st.one_of(st.none(), st.sampled_from([0.005, 0.01, 0.02, 0.033, 0.1, 0.3]))
costs = st.builds(
    Costs,
    half_spread_bps=rates,
    slippage_bps=rates,
    per_share_usd=st.sampled_from([0.0, 0.0, 0.005, 0.00013]),
    per_order_usd=st.sampled_from([0.0, 0.0, 0.1, 1.0]),
    sell_fee_rate=st.sampled_from([0.0, 0.0000278, 0.00002060]),
    sell_fee_per_share_usd=st.sampled_from([0.0, 0.000166, 0.01]),
    sell_fee_most_usd=st.sampled_from([None, 0.05, 8.3]),
)
executions = st.builds(
    Execution,
    fill=st.sampled_from(list(Fill)),
    delay_bars=st.sampled_from([0, 0, 1, 3]),
    costs=st.one_of(st.just(Costs()), costs),
    volume_share=st.sampled_from([None, None, 0.1, 0.25, 1.0]),
)
rule_sets = st.builds(
    Rules,
    direction=st.sampled_from(list(Direction)),
    fractional=st.booleans(),
    stop_loss=fractions,
    take_profit=fractions,
    trailing_stop=fractions,
    flat_at_close=st.booleans(),
    max_holding_bars=st.one_of(st.none(), st.integers(1, 6)),
    max_drawdown=st.one_of(st.none(), st.sampled_from([0.02, 0.1, 0.5])),
    daily_loss_limit=st.one_of(st.none(), st.sampled_from([0.005, 0.02, 0.1])),
)


@st.composite
def walks(draw: st.DrawFn, bars: int) -> list[Prices]:
    """Bars around a price that jumps now and then; whole cents or single ticks."""
    price, step = draw(st.sampled_from([(1_000_000, 100), (100, 1), (2_500_000, 12_500), (37, 1)]))
    made = []
    for _ in range(bars):
        moves = draw(st.tuples(*[st.integers(-9, 9)] * 2, *[st.integers(0, 6)] * 2))
        open_ = max(1, price + moves[0] * step)
        close = max(1, open_ + moves[1] * step)
        made.append((open_, max(open_, close) + moves[2] * step, max(1, min(open_, close) - moves[3] * step), close))
        price = close
    return made


@st.composite
def cases(draw: st.DrawFn) -> Case:
    bars = draw(st.integers(1, 40))

    def column(values: st.SearchStrategy[float | None]) -> list[float | None]:
        return draw(st.lists(values, min_size=bars, max_size=bars))

    length = draw(st.integers(1, 12))
    return Case(
        prices=draw(walks(bars)),
        signals=column(st.sampled_from([1.0, 1.0, 0.0, -1.0, -1.0, 0.3, None, None])),
        volumes=[float(value or 0) for value in column(st.sampled_from([0, 7, 100, 100, 2_500, 10**6, 10**6]))],
        sessions=[bar // length for bar in range(bars)],
        halted=[bool(value) for value in column(st.sampled_from([0, 0, 0, 0, 0, 1]))],
        cash=draw(st.sampled_from([10_000_000, 1_000_000_000, 12_345, 999_999])),
        execution=draw(executions),
        rules=draw(rule_sets),
    )


@pytest.mark.parametrize("examples", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_every_option_agrees_with_the_oracle_at_every_bar(examples: int) -> None:
    @given(case=cases())
    @settings(max_examples=examples)
    def agrees(case: Case) -> None:
        assert_agrees(case.replayed(), case.judged())

    agrees()


EVERYTHING = Rules(
    direction=Direction.BOTH,
    stop_loss=0.006,
    take_profit=0.01,
    trailing_stop=0.008,
    flat_at_close=True,
    max_holding_bars=180,
    max_drawdown=0.95,
    daily_loss_limit=0.02,
)
DEAR = Costs(
    half_spread_bps=0.05,
    slippage_bps=0.02,
    per_share_usd=0.0001,
    per_order_usd=0.01,
    sell_fee_rate=0.00000278,
    sell_fee_per_share_usd=0.000166,
    sell_fee_most_usd=0.02,
)


def long_case(bars: int, execution: Execution, rules: Rules) -> Case:
    """A made-up path in cents with sessions of 390 bars, a minute without volume now and then, and many fills."""
    rng = np.random.default_rng(11)
    close = np.round(250 * np.exp(np.cumsum(rng.normal(0, 8e-4, bars))), 2)
    open_ = np.round(close * np.exp(rng.normal(0, 2e-4, bars)), 2)
    high = np.round(np.maximum(open_, close) * (1 + np.abs(rng.normal(0, 4e-4, bars))), 2)
    low = np.round(np.minimum(open_, close) * (1 - np.abs(rng.normal(0, 4e-4, bars))), 2)
    ticks = [np.rint(column * TICKS_PER_DOLLAR).astype(int).tolist() for column in (open_, high, low, close)]
    wanted = rng.choice([1.0, 0.0, -1.0], bars // 20 + 1).repeat(20)[:bars]
    return Case(
        prices=list(zip(*ticks, strict=True)),
        signals=np.where(rng.random(bars) < 0.1, np.nan, wanted).tolist(),
        volumes=np.where(rng.random(bars) < 0.01, 0, rng.integers(200, 20_000, bars)).astype(float).tolist(),
        sessions=(np.arange(bars) // 390).tolist(),
        halted=[False] * bars,
        cash=10**9,
        execution=execution,
        rules=rules,
    )


LONG_RUNS = {
    "everything at the next open": (Execution(costs=DEAR, volume_share=0.1), EVERYTHING),
    "parts of shares at the close": (Execution(Fill.NEXT_CLOSE, 1, DEAR), replace(EVERYTHING, fractional=True)),
}


@pytest.mark.parametrize(("name", "bars"), list(zip(LONG_RUNS, (50_000, 15_000), strict=True)))
def test_many_thousand_bars_agree_with_the_oracle(name: str, bars: int) -> None:
    case = long_case(bars, *LONG_RUNS[name])
    done = case.replayed()
    assert done.fill_bars.size > bars // 25
    assert_agrees(done, case.judged())


@pytest.mark.slow
@pytest.mark.parametrize("name", list(LONG_RUNS))
def test_a_million_bars_agree_with_the_oracle(name: str) -> None:
    case = long_case(1_000_000, *LONG_RUNS[name])
    done = case.replayed()
    assert done.fill_bars.size > 40_000
    assert set(done.fill_reasons.tolist()) > {Reason.SIGNAL, Reason.STOP, Reason.TARGET, Reason.TRAILING, Reason.CLOSE}
    assert_agrees(done, case.judged())


def simple(prices: Sequence[Prices], signals: Sequence[float | None], rules: Rules, execution: Execution) -> Case:
    bars = len(prices)
    return Case(prices, signals, [1e6] * bars, [0] * (bars - 1) + [1], [False] * bars, 10**9, execution, rules)


def test_short_position_is_bought_back_when_it_eats_its_margin() -> None:
    calm, wild = (1_000_000,) * 4, (1_560_000,) * 4
    case = simple([calm, calm, wild, wild, wild], [-1.0, *[None] * 4], Rules(Direction.SHORT), Execution())
    done = case.replayed()
    assert [Reason(reason) for reason in done.fill_reasons] == [Reason.SIGNAL, Reason.MARGIN]
    assert done.fill_bars.tolist() == [1, 3]
    assert_agrees(done, case.judged())


def test_nothing_fills_in_a_minute_without_volume_or_in_a_halt() -> None:
    bars = 400
    case = replace(
        long_case(bars, *LONG_RUNS["everything at the next open"]), halted=[bar % 7 == 3 for bar in range(bars)]
    )
    filled = case.replayed().fill_bars
    assert filled.size > 20
    assert not any(case.halted[bar] or case.volumes[bar] == 0 for bar in filled)


def test_signal_that_met_a_halt_is_filled_when_the_halt_is_over_unless_a_newer_one_came() -> None:
    calm = (1_000_000,) * 4
    halted = [False, True, True, False, False]
    waits = simple([calm] * 5, [1.0, None, None, None, None], Rules(), Execution())
    assert replace(waits, halted=halted).replayed().fill_bars.tolist() == [3]
    changed = replace(waits, halted=halted, signals=[1.0, None, 0.0, None, None])
    assert changed.replayed().fill_bars.size == 0


def test_full_kernel_with_nothing_switched_on_is_the_basic_rule_bit_for_bit() -> None:
    case = long_case(5_000, Execution(), Rules())
    everywhere = replace(case, volumes=[1e6] * 5_000)
    basic = everywhere.replayed()
    # A drawdown of all the money never happens, and the other kernel is at work.
    full = replace(everywhere, rules=Rules(max_drawdown=0.9999)).replayed()
    assert basic.fill_bars.size > 100
    for name in Replay.__dataclass_fields__:
        assert np.array_equal(getattr(basic, name), getattr(full, name))


def test_flat_at_close_without_a_calendar_is_refused_with_the_way_out() -> None:
    prices = np.full(3, 1e6)
    with pytest.raises(InvalidInputError, match="make the market with the calendar"):
        replay(np.ones(3), Market.from_ticks(prices, prices), cash_ticks=10**9, rules=Rules(flat_at_close=True))


@pytest.mark.parametrize("rules", [Rules(max_drawdown=0.5), Rules(fractional=True)], ids=["whole", "parts"])
def test_account_beyond_exact_money_is_refused(rules: Rules) -> None:
    prices = np.array([1.0, 1.0, 1e10, 1e10])
    with pytest.raises(InvalidInputError, match=r"the account passes .* dollars at bar 2"):
        replay(
            np.ones(4),
            Market.from_ticks(prices, prices),
            cash_ticks=10**9,
            rules=rules,
        )
