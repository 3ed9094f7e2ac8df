"""The engine of the proof: other futures, borders, bits, and a leak followed to its cause."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from barlake.leak_proof import Effort, Frames, Future, Source, World, bar_borders, measure_history, minutes, prove
from barlake.leak_proof.borders import draw, record_borders
from barlake.leak_proof.compare import ROWS, Answer
from barlake.leak_proof.world import instants
from barlake.sessions import Calendar, session_of
from barlake.testing import make_bars

PRICES = ("open", "high", "low", "close", "volume")
CLOSE = pl.col("close")


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    """2024-06-27 to 2024-07-05: the end of a month, and a half day on 2024-07-03. 95 of 100 minutes."""
    sessions = Calendar.default().in_range(dt.date(2024, 6, 27), dt.date(2024, 7, 6))["session"].to_list()
    made = make_bars(sessions, seed=2, keep=0.95)
    return made.select(session_of(pl.col("timestamp")).alias("session"), "timestamp", *PRICES)


@pytest.fixture(scope="module")
def world(bars: pl.DataFrame) -> World:
    return World({"bars": Source(bars, minutes(1), PRICES)})


def over_bars(**columns: pl.Expr) -> Callable[[Frames, Sequence[str] | None], pl.DataFrame]:
    def compute(frames: Frames, names: Sequence[str] | None) -> pl.DataFrame:
        wanted = columns if names is None else {name: columns[name] for name in names}
        return frames["bars"].select(known_at=minutes(1), **wanted)

    return compute


# Other futures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("future", list(Future))
def test_another_future_leaves_the_past_as_it_is_and_changes_every_value_after_it(
    future: Future, world: World, bars: pl.DataFrame
) -> None:
    row = 777
    other = world.with_future(int(world.clock.instants[row]), future)["bars"]
    assert other.head(row + 1).equals(bars.head(row + 1))
    later = other.slice(row + 1).join(bars, on="timestamp", suffix="_before")
    if future is Future.CUT:
        assert other.height == row + 1
    for name in PRICES:
        assert (later[name] != later[f"{name}_before"]).all()
    if future is Future.WILD:
        assert bars["timestamp"][row + 1] not in other["timestamp"]
    elif future is not Future.CUT:
        assert other.height == bars.height


def test_bars_of_another_future_are_bars_still(world: World) -> None:
    other = world.with_future(0, Future.WILD)["bars"]
    assert other.select((pl.col("low") <= pl.min_horizontal("open", "close")).all()).item()
    assert other.select((pl.col("high") >= pl.max_horizontal("open", "close")).all()).item()
    assert other.schema["volume"] == pl.Int64
    assert other["volume"].min() >= 0


def test_one_column_of_one_table_can_change_alone(world: World, bars: pl.DataFrame) -> None:
    other = world.with_future(0, Future.RISE, source="bars", column="high")["bars"]
    assert other.drop("high").equals(bars.drop("high"))
    assert (other["high"] > bars["high"]).all()


def test_what_is_known_before_its_row_stays_until_then(bars: pl.DataFrame) -> None:
    world = World({"bars": Source(bars, minutes(1), PRICES, early={"open": pl.col("timestamp")})})
    row = next(n for n in range(500, 600) if bars["timestamp"][n + 1] - bars["timestamp"][n] == dt.timedelta(minutes=1))
    at = int(world.clock.instants[row])  # the instant at which the next bar opens
    for future in (Future.RISE, Future.CUT):
        other = world.with_future(at, future)["bars"]
        assert other["open"][row + 1] == bars["open"][row + 1]
        assert other["close"][row + 1] != bars["close"][row + 1]
    assert world.with_future(at, Future.CUT)["bars"].height == row + 2


def test_records_without_values_are_thinned_out(bars: pl.DataFrame) -> None:
    news = pl.DataFrame({"known_at": bars["timestamp"].gather_every(10)})
    world = World({"bars": Source(bars, minutes(1)), "news": Source(news, pl.col("known_at"), is_continuous=False)})
    other = world.with_future(int(world.clock.instants[100]), Future.RISE)["news"]
    assert other.height < news.height
    past = news.filter(pl.col("known_at") <= bars["timestamp"][100] + dt.timedelta(minutes=1))
    assert other.head(past.height).equals(past)


# Borders ---------------------------------------------------------------------------------------------


def test_borders_stand_where_leaks_hide(bars: pl.DataFrame) -> None:
    kinds = bar_borders(bars)
    known = bars.select(known=minutes(1), session="session")
    last = known.group_by("session", maintain_order=True).last()["known"].dt.timestamp("us").to_list()
    assert kinds["last bar of a session"].tolist() == last[:-1]
    end_of_june = dt.datetime(2024, 6, 28, 20, tzinfo=dt.UTC)
    assert [dt.datetime.fromtimestamp(at / 1e6, dt.UTC) for at in kinds["end of a month"]] <= [end_of_june]
    half_day = {dt.datetime.fromtimestamp(at / 1e6, dt.UTC).date() for at in kinds["short session"]}
    assert half_day == {dt.date(2024, 7, 3)}
    quarter = [dt.datetime.fromtimestamp(at / 1e6, dt.UTC).minute for at in kinds["as a bar of 15 minutes ends"]]
    assert set(quarter) <= {0, 15, 30, 45}
    before = [
        dt.datetime.fromtimestamp(at / 1e6, dt.UTC).minute for at in kinds["a minute before a bar of 15 minutes ends"]
    ]
    assert set(before) <= {14, 29, 44, 59}


def test_a_release_is_looked_at_just_before_it_while_bars_run(bars: pl.DataFrame, world: World) -> None:
    inside = bars["timestamp"][500] + dt.timedelta(seconds=90)
    at_night = dt.datetime(2024, 6, 28, 3, tzinfo=dt.UTC)
    records = Source(pl.DataFrame({"known_at": [at_night, inside]}), pl.col("known_at"))
    found = record_borders(records, "a release", within=world.clock.instants)
    micros = [int(one.timestamp() * 1e6) for one in (inside, at_night)]
    assert found["just before a release"].tolist() == [micros[0] - 1]
    assert found["just before a release, between sessions"].tolist() == [micros[1] - 1]


@given(count=st.integers(0, 60), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_as_many_borders_are_drawn_as_were_asked_for_and_of_every_kind(
    count: int, seed: int, bars: pl.DataFrame, world: World
) -> None:
    kinds = bar_borders(bars)
    drawn = draw(kinds, world.clock.instants, count, seed)
    assert len(drawn) == count
    assert all(at in world.clock.instants for _, at in drawn)
    if count >= 2 * len(kinds):
        assert {name for name, found in kinds.items() if found.size} <= {name for name, _ in drawn}


# Bits ------------------------------------------------------------------------------------------------

NAN, OTHER_NAN = np.array([0x7FF8000000000000, 0x7FF8000000000001]).view(np.float64)


def answer(values: list[float | None], known: list[int]) -> Answer:
    return Answer(pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)}), np.array(known))


@pytest.mark.parametrize(
    ("one", "two", "wrong"),
    [
        ([1.0, 2.0], [1.0, 2.0], []),
        ([1.0, 0.0], [1.0, -0.0], [1]),
        ([1.0, None], [1.0, None], []),
        ([1.0, None], [1.0, NAN], [1]),
        ([NAN, 2.0], [NAN, 2.0], []),
        ([NAN, 2.0], [OTHER_NAN, 2.0], [0]),
        ([1.0, 2.0], [1.0, np.nextafter(2.0, 3.0)], [1]),
    ],
)
def test_answers_are_equal_in_every_bit_or_not_at_all(
    one: list[float | None], two: list[float | None], wrong: list[int]
) -> None:
    found = dict(answer(one, [1, 2]).differences(answer(two, [1, 2]), 2))
    assert [row for rows in found.values() for row in rows] == wrong


def test_only_what_is_known_by_then_is_compared_in_any_order() -> None:
    one, two = answer([1.0, 2.0, 3.0], [9, 1, 5]), answer([8.0, 2.0, 3.5], [9, 1, 5])
    assert dict(one.differences(two, 1)) == {}
    assert dict(one.differences(two, 5))["x"].tolist() == [2]
    assert dict(one.differences(two, 9))["x"].tolist() == [0, 2]


def test_one_more_row_that_was_known_is_a_difference() -> None:
    found = dict(answer([1.0], [1]).differences(answer([1.0, 2.0], [1, 2]), 2))
    assert list(found) == [ROWS]


def test_another_type_is_a_difference() -> None:
    other = Answer(pl.DataFrame({"x": pl.Series([1.0], dtype=pl.Float32)}), np.array([1]))
    assert dict(answer([1.0], [1]).differences(other, 1))["x"].tolist() == [0]


# From a leak to its cause ----------------------------------------------------------------------------


@given(ahead=st.integers(1, 40), every=st.integers(1, 40), seed=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_a_leak_of_any_reach_in_some_rows_is_found_with_its_reach(
    ahead: int, every: int, seed: int, bars: pl.DataFrame, world: World
) -> None:
    row = pl.int_range(pl.len())
    leak = pl.when(row % every == 0).then(pl.col("high").shift(-ahead)).otherwise("high")
    effort = Effort(whole=40, pieces=0, sweeps=8)
    report = prove(over_bars(leak=leak, honest=CLOSE.shift(ahead)), world, bar_borders(bars), effort=effort, seed=seed)
    [finding] = report.findings
    assert finding.column == "leak"
    assert finding.first_wrong_row % every == 0
    assert finding.rows_ahead == ahead
    assert finding.looked_at == ("bars.high",)


@given(window=st.integers(1, 300), lag=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_no_window_over_the_past_is_ever_called_a_leak(window: int, lag: int, bars: pl.DataFrame, world: World) -> None:
    mean = CLOSE.shift(lag).rolling_mean(window)
    report = prove(over_bars(mean=mean), world, bar_borders(bars), effort=Effort(whole=12, pieces=0, sweeps=4))
    assert report.is_clean


def test_prices_in_the_terms_of_today_know_a_later_split(bars: pl.DataFrame) -> None:
    ex_date = bars["session"].unique().sort()[3]
    first = bars.filter(pl.col("session") == ex_date)["timestamp"][0]
    splits = pl.DataFrame({"ex_date": [ex_date], "known_at": [first], "ratio": [4.0]})
    world = World(
        {
            "bars": Source(bars, minutes(1), PRICES),
            "splits": Source(splits, pl.col("known_at"), ("ratio",), is_continuous=False),
        }
    )

    def compute(frames: Frames, columns: Sequence[str] | None) -> pl.DataFrame:
        del columns
        held, known = frames["bars"], frames["splits"]
        later, earlier = pl.lit(1.0), pl.lit(1.0)
        for ex, ratio in known.select("ex_date", "ratio").rows():
            later *= pl.when(pl.col("session") < ex).then(ratio).otherwise(1.0)
            earlier *= pl.when(pl.col("session") >= ex).then(ratio).otherwise(1.0)
        return held.select(known_at=minutes(1), today=CLOSE / later, first_session=CLOSE * earlier)

    borders = bar_borders(bars) | record_borders(world.sources["splits"], "a split", within=world.clock.instants)
    report = prove(compute, world, borders, effort=Effort(whole=40, pieces=0, sweeps=0))
    assert [one.column for one in report.findings] == ["today"]
    assert report.findings[0].first_wrong_row == 0
    assert report.findings[0].looked_at == ("splits.ratio", "bars.close")[:1]


def test_an_answer_must_say_when_it_is_known(bars: pl.DataFrame, world: World) -> None:
    with pytest.raises(InvalidInputError, match="no column 'known_at'"):
        prove(lambda frames, _: frames["bars"].select("close"), world, bar_borders(bars))


def test_progress_is_told_to_the_end(bars: pl.DataFrame, world: World) -> None:
    told: list[tuple[int, int]] = []
    effort = Effort(whole=3, pieces=2, sweeps=1)
    prove(
        over_bars(x=CLOSE),
        world,
        bar_borders(bars),
        effort=effort,
        progress=lambda _, done, total: told.append((done, total)),
    )
    assert [done for done, _ in told] == list(range(len(told)))
    assert told[-1][0] == told[-1][1]


# History ---------------------------------------------------------------------------------------------


@given(window=st.integers(1, 400))
@settings(max_examples=10, deadline=None)
def test_a_window_needs_just_the_rows_it_spans(window: int, world: World) -> None:
    [need] = measure_history(over_bars(x=CLOSE.shift(window - 1)), world, rows=800, starts=2)
    assert (need.rows_needed, need.rows_to_same_bits) == (window - 1, window - 1)


def test_a_level_that_depends_on_the_beginning_never_forgets(world: World) -> None:
    [need] = measure_history(over_bars(x=CLOSE / CLOSE.first()), world, rows=800)
    assert not need.forgets


def test_instants_are_microseconds_and_a_row_without_one_is_never_known() -> None:
    stamps = pl.DataFrame({"at": [dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC), None]})
    assert instants(stamps, pl.col("at")).tolist() == [1_000_000, np.iinfo(np.int64).max]
