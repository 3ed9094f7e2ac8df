"""The joined table: strict, named by symbol, labelled before the join, and honest about what it dropped."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from barlake.keys import SessionFilter
from barlake.resample import filter_session
from barlake.sessions import Calendar, session_of
from training_service.dataset import feature_columns, make_dataset
from training_service.labels import TargetSpec, make_labels

Tables = dict[str, pl.DataFrame]
REAL_BARS = Path(__file__).parents[3] / "shared" / "data" / "bars_1m" / "year_2024"


def test_the_primary_keeps_its_names_and_context_columns_carry_their_symbol(tables: Tables) -> None:
    data = make_dataset(tables, spec=TargetSpec.parse("direction", 5))
    assert data.frame.columns == [
        "session", "timestamp", "close", "label", "known_at", "log_return_1", "stretch_10",
        "close_QQQ", "log_return_1_QQQ", "stretch_10_QQQ",
    ]  # fmt: skip


def test_a_model_sees_features_only_and_no_price_as_it_stands(tables: Tables) -> None:
    data = make_dataset(tables, spec=TargetSpec.parse("direction", 5))
    assert data.columns == ("log_return_1", "stretch_10", "log_return_1_QQQ", "stretch_10_QQQ")


def test_the_join_keeps_exactly_the_common_minutes_in_time_order(tables: Tables) -> None:
    data = make_dataset(tables, spec=TargetSpec.parse("direction", 5))
    common = sorted(set(tables["SPY"]["timestamp"]) & set(tables["QQQ"]["timestamp"]))
    assert data.frame["timestamp"].to_list() == common


def test_every_joined_value_is_the_one_of_its_own_symbol_and_minute(tables: Tables) -> None:
    data = make_dataset(tables, spec=TargetSpec.parse("direction", 5))
    close = dict(zip(tables["QQQ"]["timestamp"], tables["QQQ"]["close"], strict=True))
    assert data.frame["close_QQQ"].to_list() == [close[stamp] for stamp in data.frame["timestamp"]]


def test_the_drop_rate_of_each_symbol_is_counted_against_the_primary(tables: Tables) -> None:
    other = {**tables, "IWM": tables["SPY"][10:]}
    join = make_dataset(other, spec=TargetSpec.parse("direction", 5)).join
    absent = tables["SPY"].height - tables["QQQ"].height
    assert absent > 0
    assert join.missing == {"QQQ": absent, "IWM": 10}
    assert join.as_dict()["drop_rate_by_symbol"]["IWM"] == 10 / tables["SPY"].height
    assert join.drop_rate == pytest.approx(1 - join.rows / join.primary_rows)


def test_labels_are_those_of_the_primarys_own_bars_however_many_rows_the_join_drops(tables: Tables) -> None:
    alone = make_labels(tables["SPY"], TargetSpec.parse("return", 5))
    joined = make_dataset(tables, spec=TargetSpec.parse("return", 5)).frame
    expected = alone.filter(pl.col("timestamp").is_in(joined["timestamp"].implode()))
    assert joined.select("session", "timestamp", "label", "known_at").equals(expected)


def test_rows_without_a_label_stay(tables: Tables) -> None:
    data = make_dataset({"SPY": tables["SPY"]}, spec=TargetSpec.parse("direction", 5))
    assert data.frame.height == tables["SPY"].height
    assert data.frame["label"].null_count() == 5 * 8


def test_one_symbol_alone_drops_nothing(tables: Tables) -> None:
    join = make_dataset({"SPY": tables["SPY"]}, spec=TargetSpec.parse("direction", 5)).join
    assert (join.drop_rate, join.missing) == (0.0, {})


def test_nan_and_null_are_the_same_not_known(tables: Tables) -> None:
    table = tables["SPY"].with_columns(pl.lit(float("nan")).alias("stretch_10"))
    data = make_dataset({"SPY": table}, spec=TargetSpec.parse("direction", 5))
    assert data.frame["stretch_10"].null_count() == data.frame.height


def test_only_the_columns_that_were_named_are_kept_in_the_order_of_the_table(tables: Tables) -> None:
    data = make_dataset(tables, spec=TargetSpec.parse("direction", 5), columns=["stretch_10"])
    assert data.columns == ("stretch_10", "stretch_10_QQQ")


@pytest.mark.parametrize(
    ("columns", "message"),
    [(["strech_10"], "feature 'strech_10' is not in the table of SPY.* Did you mean 'stretch_10'"), ([], "is empty")],
)
def test_columns_that_cannot_be_kept_are_refused(tables: Tables, columns: list[str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make_dataset(tables, spec=TargetSpec.parse("direction", 5), columns=columns)


def test_features_keep_the_precision_they_were_built_with(tables: Tables) -> None:
    mixed = tables["SPY"].with_columns(pl.col("stretch_10").cast(pl.Float64), pl.lit(1).alias("whole"))
    frame = make_dataset({"SPY": mixed}, spec=TargetSpec.parse("direction", 5)).frame
    types = [frame.schema[name] for name in ("log_return_1", "stretch_10", "whole")]
    assert types == [pl.Float32(), pl.Float64(), pl.Float64()]


def test_the_dataset_knows_the_target_of_its_labels(tables: Tables) -> None:
    spec = TargetSpec.parse("triple_barrier", 30, parameters={"upper": 2.0})
    data = make_dataset(tables, spec=spec)
    assert data.spec == spec
    labels = make_labels(tables["SPY"], spec).filter(pl.col("timestamp").is_in(data.frame["timestamp"].implode()))
    assert data.frame.select("label", "known_at").equals(labels.select("label", "known_at"))


def test_keys_prices_and_volumes_are_no_features(tables: Tables) -> None:
    assert feature_columns(tables["SPY"]) == ["log_return_1", "stretch_10"]


def test_an_infinite_feature_is_refused_by_name(tables: Tables) -> None:
    table = tables["SPY"].with_columns(pl.lit(float("inf")).alias("stretch_10"))
    with pytest.raises(InvalidInputError, match="feature stretch_10 of SPY is infinite"):
        make_dataset({"SPY": table}, spec=TargetSpec.parse("direction", 5))


def test_a_minute_twice_in_a_context_symbol_is_refused(tables: Tables) -> None:
    doubled = pl.concat([tables["QQQ"], tables["QQQ"][:1]])
    with pytest.raises(InvalidInputError, match="feature table of QQQ holds a minute twice"):
        make_dataset({"SPY": tables["SPY"], "QQQ": doubled}, spec=TargetSpec.parse("direction", 5))


def test_symbols_without_a_common_minute_are_refused(tables: Tables) -> None:
    later = tables["QQQ"].with_columns(pl.col("timestamp").dt.offset_by("1y"))
    with pytest.raises(InvalidInputError, match="SPY, QQQ share no minute"):
        make_dataset({"SPY": tables["SPY"], "QQQ": later}, spec=TargetSpec.parse("direction", 5))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TargetSpec.parse("direction", 130), "direction over 130 minutes .* longest session has 130 bars"),
        (TargetSpec.parse("return", "close"), "return to the close gives no bar of SPY .* no session .* closing bar"),
        (
            TargetSpec.parse("scaled_return", 5, parameters={"volatility_window": 5000}),
            "nowhere are 5000 one-minute returns .* shorter volatility_window",
        ),
    ],
)
def test_a_target_that_labels_nothing_is_refused_with_the_reason(
    tables: Tables, spec: TargetSpec, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make_dataset(tables, spec=spec)


def test_a_horizon_that_holes_never_let_through_is_refused_with_that_reason(tables: Tables) -> None:
    every_other = tables["SPY"].gather_every(2)
    with pytest.raises(InvalidInputError, match="everywhere a minute up to the horizon is missing"):
        make_dataset({"SPY": every_other}, spec=TargetSpec.parse("direction", 5))


@given(
    st.lists(st.sets(st.integers(0, 30), min_size=1), min_size=1, max_size=4).filter(lambda held: len(held[0]) > 1),
    st.integers(0, 2**32 - 1),
)
def test_the_join_is_the_one_of_plain_sets(held: list[set[int]], seed: int) -> None:
    generator = np.random.default_rng(seed)
    plain: dict[str, dict[dt.datetime, float]] = {}
    given_tables = {}
    for number, minutes in enumerate(held):
        stamps = [dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC) + dt.timedelta(minutes=one) for one in sorted(minutes)]
        values = generator.normal(size=len(stamps))
        plain[f"S{number}"] = dict(zip(stamps, values, strict=True))
        frame = pl.DataFrame({"timestamp": stamps, "close": 1.0, "value": values})
        given_tables[f"S{number}"] = frame.with_columns(session=pl.lit(dt.date(2024, 1, 2)))
    common = sorted(set.intersection(*(set(one) for one in plain.values())))
    # Labels have tests of their own; two bars side by side make at least one.
    primary = given_tables["S0"]
    assume(common and primary["timestamp"].diff().min() == dt.timedelta(minutes=1))
    data = make_dataset(given_tables, spec=TargetSpec.parse("direction", 1))
    assert data.frame["timestamp"].to_list() == common
    for number, symbol in enumerate(plain):
        name = "value" if number == 0 else f"value_{symbol}"
        assert data.frame[name].to_list() == [plain[symbol][stamp] for stamp in common]
    assert data.join.missing == {name: len(set(plain["S0"]) - set(plain[name])) for name in list(plain)[1:]}
    assert data.join.primary_rows - data.join.rows == len(plain["S0"]) - len(common)


def test_a_table_without_features_is_refused(tables: Tables) -> None:
    bare = tables["SPY"].select("session", "timestamp", "close")
    with pytest.raises(InvalidInputError, match="`barlake features SPY`"):
        make_dataset({"SPY": bare}, spec=TargetSpec.parse("direction", 5))


def test_no_symbol_at_all_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no symbol was given"):
        make_dataset({}, spec=TargetSpec.parse("direction", 5))


@pytest.mark.skipif(not REAL_BARS.is_dir(), reason="the shared pack of real bars is not beside this checkout")
def test_a_year_of_real_spy_and_qqq_shares_the_minutes_that_the_calendar_says() -> None:
    real = {}
    for symbol in ("SPY", "QQQ"):
        bars = pl.read_parquet(REAL_BARS / f"{symbol}.parquet").with_columns(
            session_of(pl.col("timestamp")).alias("session"), pl.lit(1.0).alias("constant")
        )
        minutes = bars.select("session", "timestamp")
        regular = filter_session(minutes, Calendar.default().frame, SessionFilter.REGULAR)
        real[symbol] = bars.join(regular, on=["session", "timestamp"], how="semi", maintain_order="left")
    data = make_dataset(real, spec=TargetSpec.parse("direction", 5))
    assert real["QQQ"].height == 99_300
    assert data.frame.height == real["SPY"].height == 99_264
    # 256 sessions without a hole lose their last five bars each.
    assert data.frame["label"].null_count() == 5 * 256
