from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake import Lake
from barlake.errors import FormatError, InvalidInputError, LookAheadError
from barlake.keys import ArtifactKind
from simulation_service.signals import place, read_predictions, read_signals_file

OPEN = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)


def minutes(*numbers: int) -> list[dt.datetime]:
    return [OPEN + dt.timedelta(minutes=number) for number in numbers]


def read_csv(tmp_path: Path, text: str, symbol: str = "SPY") -> pl.DataFrame:
    path = tmp_path / "signals.csv"
    path.write_text(text, encoding="utf-8")
    return read_signals_file(path, symbol=symbol)


def read_parquet(tmp_path: Path, **columns: Any) -> pl.DataFrame:
    path = tmp_path / "signals.parquet"
    pl.DataFrame(columns).write_parquet(path)
    return read_signals_file(path, symbol="SPY")


def test_every_common_spelling_of_an_instant_is_read_as_utc(tmp_path: Path) -> None:
    spellings = [
        "2024-01-02T14:30:00Z",
        "2024-01-02 14:31:00+00:00",
        "2024-01-02T14:32:00.000000+0000",
        "2024-01-02 09:33:00-05:00",
        "2024-01-02 14:34:00+00",
        "2024-01-02T14:35Z",
    ]
    text = "timestamp,signal\n" + "".join(f"{spelling},1\n" for spelling in spellings)
    found = read_csv(tmp_path, text)
    assert found["timestamp"].to_list() == minutes(0, 1, 2, 3, 4, 5)
    assert found.schema == {"timestamp": pl.Datetime("us", "UTC"), "signal": pl.Float64()}


def test_rows_come_back_in_order_of_time(tmp_path: Path) -> None:
    found = read_csv(tmp_path, "timestamp,signal\n2024-01-02T14:31:00Z,1\n2024-01-02T14:30:00Z,0\n")
    assert found.rows() == list(zip(minutes(0, 1), [0.0, 1.0], strict=True))


def test_empty_cells_and_nan_are_no_signal(tmp_path: Path) -> None:
    text = "timestamp,signal\n2024-01-02T14:30:00Z,\n2024-01-02T14:31:00Z,NaN\n2024-01-02T14:32:00Z,0.5\n"
    assert read_csv(tmp_path, text)["signal"].to_list() == [None, None, 0.5]


def test_parquet_of_another_zone_integers_or_booleans_is_read(tmp_path: Path) -> None:
    eastern = pl.Series(minutes(0, 1)).dt.convert_time_zone("America/New_York")
    for values in ([1, -1], [True, False]):
        found = read_parquet(tmp_path, timestamp=eastern, signal=values)
        assert found["timestamp"].to_list() == minutes(0, 1)
        assert (found["signal"] > 0).to_list() == [True, False]


def test_prediction_stands_in_where_there_is_no_signal_column(tmp_path: Path) -> None:
    assert read_parquet(tmp_path, timestamp=minutes(0), prediction=[0.3])["signal"].to_list() == [0.3]
    both = read_parquet(tmp_path, timestamp=minutes(0), prediction=[0.3], signal=[-1.0])
    assert both["signal"].to_list() == [-1.0]


def test_compressed_csv_is_read(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "signals.csv.gz"
    path.write_bytes(gzip.compress(b"timestamp,signal\n2024-01-02T14:30:00Z,1\n"))
    assert read_signals_file(path, symbol="SPY").height == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("2024-01-02T14:30:00Z,1\n2024-01-02 09:31:00,1\n", "'2024-01-02 09:31:00' in row 2 has no time zone"),
        ("2024-01-02,1\n", "'2024-01-02' in row 1 has no time zone"),
        ("1704205800,1\n", "'1704205800' in row 1 has no time zone"),
        (",1\n", "timestamp 'None' in row 1 has no time zone"),
        ("2024-13-02T14:30:00Z,1\n", "'2024-13-02T14:30:00Z' in row 1 is not a date and time"),
        ("2024-01-02T14:30:00Z,buy\n", "signal 'buy' in row 1 is not a finite number"),
        ("2024-01-02T14:30:00Z,inf\n", "signal 'inf' in row 1 is not a finite number"),
        ("2024-01-02T14:30:00Z,1\n2024-01-02T09:30:00-05:00,0\n", "1 timestamps more than once"),
        ("", "has no rows"),
        ("2024-01-02T14:30:00Z,1,2\n", "cannot be read as its ending says"),
    ],
)
def test_bad_row_is_named_with_its_value_and_the_rule(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_csv(tmp_path, f"timestamp,signal\n{rows}")


def test_parquet_without_time_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="write UTC such as 2024-01-02T14:30:00Z"):
        read_parquet(tmp_path, timestamp=[OPEN.replace(tzinfo=None)], signal=[1.0])


@pytest.mark.parametrize("values", [[OPEN], [[1.0]]])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, values: list[Any]) -> None:
    with pytest.raises(InvalidInputError, match="is not a finite number"):
        read_parquet(tmp_path, timestamp=[OPEN], signal=values)


def test_missing_column_is_named_with_the_closest_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no column 'signal'.* Did you mean 'sginal'\?"):
        read_csv(tmp_path, "timestamp,sginal\n2024-01-02T14:30:00Z,1\n")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.csv", None, "does not exist"),
        ("signals.txt", b"x", "is neither .csv, .csv.gz nor .parquet"),
        ("broken.parquet", b"not parquet", "cannot be read as its ending says"),
        ("empty.csv", b"", "cannot be read as its ending says"),
    ],
)
def test_file_that_cannot_be_read_says_what_it_should_be(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=message):
        read_signals_file(path, symbol="SPY")


def test_rows_of_another_symbol_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"also has rows of \['QQQ'\]"):
        read_csv(tmp_path, "timestamp,symbol,signal\n2024-01-02T14:30:00Z,QQQ,1\n")


def test_file_that_was_fitted_on_its_own_future_is_refused(tmp_path: Path) -> None:
    read_parquet(tmp_path, timestamp=minutes(5), signal=[1.0], fitted_before=minutes(5))
    with pytest.raises(LookAheadError, match="knew labels up to"):
        read_parquet(tmp_path, timestamp=minutes(5, 6), signal=[1.0, 1.0], fitted_before=minutes(5, 7))


def test_predictions_of_a_model_are_read_for_its_primary_symbol(
    lake: Lake, make_model: Any, predictions: pl.DataFrame
) -> None:
    model = lake.artifacts.find(ArtifactKind.MODEL, make_model(predictions))
    found = read_predictions(lake.artifacts, model, symbol="SPY")
    assert found.select("timestamp", "signal").rows() == predictions.select("timestamp", "signal").rows()


@pytest.mark.parametrize(("symbol", "role"), [("QQQ", "only looks at"), ("TSLA", "does not know")])
def test_symbol_a_model_does_not_predict_is_refused(
    lake: Lake, make_model: Any, predictions: pl.DataFrame, symbol: str, role: str
) -> None:
    model = lake.artifacts.find(ArtifactKind.MODEL, make_model(predictions))
    with pytest.raises(InvalidInputError, match=f"predicts 'SPY' and {role} '{symbol}'"):
        read_predictions(lake.artifacts, model, symbol=symbol)


@pytest.mark.parametrize("late_by", [dt.timedelta(microseconds=1), None])
def test_one_prediction_from_before_its_fit_refuses_the_whole_model(
    lake: Lake, make_model: Any, predictions: pl.DataFrame, late_by: dt.timedelta | None
) -> None:
    row = predictions["timestamp"][30]
    late = None if late_by is None else row + late_by
    planted = predictions.with_columns(
        fitted_before=pl.when(pl.col("timestamp") == row).then(late).otherwise("fitted_before")
    )
    model = lake.artifacts.find(ArtifactKind.MODEL, make_model(planted))
    with pytest.raises(LookAheadError, match="predict only with a model fitted before"):
        read_predictions(lake.artifacts, model, symbol="SPY")


def test_prediction_at_the_very_instant_of_its_fit_is_allowed(
    lake: Lake, make_model: Any, predictions: pl.DataFrame
) -> None:
    exact = predictions.with_columns(fitted_before=pl.lit(predictions["timestamp"][0]))
    model = lake.artifacts.find(ArtifactKind.MODEL, make_model(exact))
    assert read_predictions(lake.artifacts, model, symbol="SPY").height == predictions.height


def test_changed_file_of_predictions_is_not_read(lake: Lake, make_model: Any, predictions: pl.DataFrame) -> None:
    model = lake.artifacts.find(ArtifactKind.MODEL, make_model(predictions))
    predictions.with_columns(signal=1.0).write_parquet(model.path / "predictions.parquet")
    with pytest.raises(FormatError, match="SHA-256 differs"):
        read_predictions(lake.artifacts, model, symbol="SPY")


def test_two_predictions_for_one_bar_are_refused(lake: Lake, make_model: Any, predictions: pl.DataFrame) -> None:
    model = lake.artifacts.find(ArtifactKind.MODEL, make_model(pl.concat([predictions, predictions.head(1)])))
    with pytest.raises(InvalidInputError, match="1 timestamps more than once"):
        read_predictions(lake.artifacts, model, symbol="SPY")


def frame(numbers: list[int], signal: list[float | None] | None = None) -> pl.DataFrame:
    stamps = pl.Series("timestamp", minutes(*numbers), dtype=pl.Datetime("us", "UTC"))
    other = {"close": [10.0] * len(numbers)} if signal is None else {"signal": signal}
    return pl.DataFrame({"timestamp": stamps, **other})


def test_bars_from_the_first_to_the_last_signal_take_part() -> None:
    placed = place(frame([2, 4], [1.0, 0.0]), frame([0, 1, 2, 3, 4, 5]))
    assert placed.bars["timestamp"].to_list() == minutes(2, 3, 4)
    assert placed.bars["signal"].to_list() == [1.0, None, 0.0]
    assert (placed.bars_without_signal, placed.unmatched_signals) == (1, 0)


def test_signals_without_a_bar_and_bars_with_an_empty_signal_are_counted() -> None:
    placed = place(frame([0, 1, 2, 9], [1.0, 1.0, None, 0.0]), frame([0, 2, 3]))
    assert placed.bars["timestamp"].to_list() == minutes(0, 2)
    assert (placed.bars_without_signal, placed.unmatched_signals) == (1, 2)


@pytest.mark.parametrize("bars", [[], [7, 8]])
def test_signals_that_meet_no_bar_at_all_are_an_error_that_shows_both_spans(bars: list[int]) -> None:
    with pytest.raises(InvalidInputError, match="none of 2 signals belongs to a bar") as error:
        place(frame([0, 1], [1.0, 0.0]), frame(bars))
    assert "2024-01-02 14:30:00" in str(error.value)
