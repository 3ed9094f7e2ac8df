"""Folds as a table: every row range, half-open, and the same folds back."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tests.training_service.fold_markets import minutes
from training_service.fold_ranges import fold_table, folds_of
from training_service.folds import Fold

COUNT = 20
parts = st.lists(st.sampled_from(["train", "test", "none"]), min_size=COUNT, max_size=COUNT).map(np.array)
folds_of_any_kind = st.lists(
    parts.filter(lambda part: {"train", "test"} <= set(part)).map(
        lambda part: (np.flatnonzero(part == "train"), np.flatnonzero(part == "test"))
    ),
    max_size=4,
)
FRAME = pl.DataFrame({"timestamp": minutes(COUNT)})


@given(folds_of_any_kind)
def test_folds_come_back_row_for_row(folds: list[Fold]) -> None:
    back = folds_of(fold_table(folds, FRAME))
    assert [(training.tolist(), test.tolist()) for training, test in back] == [
        (training.tolist(), test.tolist()) for training, test in folds
    ]


@given(folds_of_any_kind)
def test_ranges_are_half_open_whole_and_as_few_as_can_be(folds: list[Fold]) -> None:
    table = fold_table(folds, FRAME)
    assert (table["rows"] > 0).all()
    assert table["rows"].sum() == sum(rows.size for fold in folds for rows in fold)
    gaps = table.select((pl.col("first_row") - pl.col("end_row").shift(1).over("fold", "part")).drop_nulls())
    assert (gaps.to_series() > 0).all()


def test_the_table_is_the_one_worked_out_by_hand() -> None:
    table = fold_table([(np.array([0, 1, 3]), np.array([5, 6]))], FRAME)
    stamps = FRAME["timestamp"]
    assert table.rows() == [
        (0, "train", 0, 2, stamps[0], stamps[1], 2),
        (0, "train", 3, 4, stamps[3], stamps[3], 1),
        (0, "test", 5, 7, stamps[5], stamps[6], 2),
    ]
    assert table.schema["fold"] == pl.Int32()
