"""The compiled kernel against a Decimal oracle, against pencil arithmetic, and at the edges of its rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from simulation_service.compiled import compiled
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import Replay, buy_and_hold, replay
from simulation_service.market import Market
from simulation_service.tick_prices import price_ticks
from simulation_service.ticks import MAX_TICKS, TICKS_PER_DOLLAR, FloatArray, cash_to_ticks
from tests.simulation_service.oracle import OracleAccount, OracleBar, decimal_replay

ANSWERS = Path(__file__).parents[1] / "answers"


def decimal_account(
    opens: Sequence[Decimal], closes: Sequence[Decimal], signals: Sequence[float | None], cash: Decimal, fill: Fill
) -> OracleAccount:
    rows = [
        OracleBar(open_, max(open_, close), min(open_, close), close, Decimal(1), 0, ends_session=False, tradable=True)
        for open_, close in zip(opens, closes, strict=True)
    ]
    return decimal_replay(rows, signals, cash, Execution(fill))


def exact(ticks: FloatArray) -> list[Decimal]:
    return [Decimal(int(tick)) / TICKS_PER_DOLLAR for tick in ticks]


def as_signal(values: Sequence[float | None]) -> FloatArray:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def run(opens: Sequence[int], closes: Sequence[int], signals: Sequence[float | None], cash: int, fill: Fill) -> Replay:
    return replay(
        as_signal(signals),
        Market.from_ticks(np.array(opens, dtype=np.float64), np.array(closes, dtype=np.float64)),
        cash_ticks=cash,
        execution=Execution(fill),
    )


def assert_agrees(done: Replay, oracle: OracleAccount) -> None:
    assert exact(done.cash) == oracle.cash_path
    assert done.shares.tolist() == oracle.shares_path
    assert exact(done.equity) == oracle.equity_path
    fills = zip(done.fill_bars.tolist(), done.fill_shares.astype(int).tolist(), exact(done.fill_prices), strict=True)
    assert list(fills) == [(fill.bar, fill.shares, fill.price) for fill in oracle.fills]


@st.composite
def paths(draw: st.DrawFn) -> tuple[list[int], list[int], list[float | None], int]:
    bars = draw(st.integers(1, 60))
    # Few different prices near the cash make exact divisions, unaffordable shares and ties common.
    price = st.one_of(st.integers(1, 50), st.integers(900_000, 1_100_000), st.integers(1, 10**10))
    signal = st.sampled_from([1.0, 0.0, -0.3, 0.0001, None, -0.0])
    return (
        draw(st.lists(price, min_size=bars, max_size=bars)),
        draw(st.lists(price, min_size=bars, max_size=bars)),
        draw(st.lists(signal, min_size=bars, max_size=bars)),
        draw(st.one_of(st.integers(1, 10**7), st.just(10**9))),
    )


@given(path=paths(), fill=st.sampled_from(list(Fill)))
@settings(max_examples=150, deadline=None)
def test_kernel_equals_the_decimal_oracle_at_every_bar(
    path: tuple[list[int], list[int], list[float | None], int], fill: Fill
) -> None:
    opens, closes, signals, cash = path
    dollars = [[Decimal(price) / TICKS_PER_DOLLAR for price in column] for column in (opens, closes)]
    oracle = decimal_account(dollars[0], dollars[1], signals, Decimal(cash) / TICKS_PER_DOLLAR, fill)
    if max(oracle.equity_path) * TICKS_PER_DOLLAR >= MAX_TICKS:
        with pytest.raises(InvalidInputError, match="the account passes"):
            run(opens, closes, signals, cash, fill)
    else:
        assert_agrees(run(opens, closes, signals, cash, fill), oracle)


@pytest.mark.parametrize("fill", list(Fill))
def test_kernel_equals_the_decimal_oracle_on_a_long_path_with_many_fills(fill: Fill) -> None:
    rng = np.random.default_rng(3)
    bars = 20_000
    closes = np.round(250 * np.exp(np.cumsum(rng.normal(0, 4e-4, bars))), 2)
    opens = np.round(closes * np.exp(rng.normal(0, 1e-4, bars)), 2)
    signals: list[float | None] = rng.choice([1.0, 0.0], bars).tolist()
    oracle = decimal_account(
        [Decimal(f"{price:.2f}") for price in opens],
        [Decimal(f"{price:.2f}") for price in closes],
        signals,
        Decimal(100_000),
        fill,
    )
    done = replay(
        as_signal(signals),
        Market.from_ticks(price_ticks(opens, name="open").ticks, price_ticks(closes, name="close").ticks),
        cash_ticks=cash_to_ticks(100_000),
        execution=Execution(fill),
    )
    assert len(oracle.fills) > 6_000
    assert_agrees(done, oracle)


@pytest.mark.parametrize("fill", [Fill.NEXT_OPEN, Fill.SAME_CLOSE])
@pytest.mark.parametrize(("file", "cash"), [("simulation_ten_bars.csv", 1000), ("simulation_retry.csv", 100)])
def test_ten_bars_worked_out_by_hand_come_out_to_the_last_digit(file: str, cash: int, fill: Fill) -> None:
    answer = pl.read_csv(ANSWERS / file, comment_prefix="#", infer_schema=False)
    signals = [None if text is None else float(text) for text in answer["signal"]]
    done = replay(
        as_signal(signals),
        Market.from_ticks(
            price_ticks(answer["open"].cast(pl.Float64).to_numpy(), name="open").ticks,
            price_ticks(answer["close"].cast(pl.Float64).to_numpy(), name="close").ticks,
        ),
        cash_ticks=cash_to_ticks(cash),
        execution=Execution(fill),
    )
    for column, values in (("cash", done.cash), ("equity", done.equity)):
        assert exact(values) == [Decimal(text) for text in answer[f"{fill}_{column}"]]
    assert done.shares.tolist() == [int(text) for text in answer[f"{fill}_shares"]]


def test_plain_dollars_would_lose_a_share_that_whole_ticks_find() -> None:
    assert math.floor(0.30 / 0.10) == 2
    done = run([1000], [1000], [1.0], 3000, Fill.SAME_CLOSE)
    assert done.shares_bought == 3


@given(shares=st.integers(1, 2**51), price=st.integers(1, 2**51), less=st.sampled_from([0, 1]))
@settings(max_examples=200)
def test_share_count_is_exact_up_to_the_largest_account(shares: int, price: int, less: int) -> None:
    shares = max(1, min(shares, (MAX_TICKS - 1) // price))
    cash = shares * price - less
    if cash < 1:
        return
    done = run([price], [price], [1.0], cash, Fill.SAME_CLOSE)
    assert int(done.shares[0]) == cash // price
    assert int(done.cash[0]) == cash % price


def test_last_signal_fills_nothing_at_the_next_open() -> None:
    done = run([100, 100], [100, 100], [0.0, 1.0], 1000, Fill.NEXT_OPEN)
    assert done.fill_bars.size == 0


def test_bar_without_a_signal_holds_shares_and_cash() -> None:
    done = run([100] * 4, [100] * 4, [None, 1.0, None, 0.0], 1000, Fill.SAME_CLOSE)
    assert done.shares.tolist() == [0, 10, 10, 0]


def test_buy_and_hold_pays_the_first_open_or_the_first_close() -> None:
    market = Market.from_ticks(np.array([100.0, 1.0]), np.array([300.0, 500.0]))
    assert buy_and_hold(market, cash_ticks=1000).final_value == 5000
    assert buy_and_hold(market, cash_ticks=1000, execution=Execution(Fill.SAME_CLOSE)).final_value == 100 + 3 * 500


def test_kernel_refuses_arrays_of_different_length() -> None:
    with pytest.raises(InvalidInputError, match=r"\[1, 2, 2\] bars"):
        run([1, 1], [1, 1], [1.0], 10, Fill.NEXT_OPEN)


def test_kernel_refuses_an_account_beyond_exact_cents() -> None:
    with pytest.raises(InvalidInputError, match="the account passes 450,359,962,737 dollars at bar 1"):
        run([1, 1], [1, 10**10], [1.0, 1.0], 10**9, Fill.SAME_CLOSE)


def test_compilation_works_where_no_cache_folder_can_be_written() -> None:
    namespace: dict[str, object] = {}
    # Code that has no file has no place for a cache: numba refuses it as it does on a read-only disk.
    exec("def one(price):\n    return 1\n", namespace)  # noqa: S102 - a function without a source file is the point
    one = compiled(namespace["one"])  # type: ignore[arg-type]  # exec hides the signature
    assert one(2.0) == 1


def test_fill_names_what_it_accepts() -> None:
    assert Fill.parse("next_open") is Fill.NEXT_OPEN
    with pytest.raises(InvalidInputError, match="use one of next_open, next_close, same_close"):
        Fill.parse("open")
