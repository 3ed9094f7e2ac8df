"""No feature reads later rows, none remembers for ever, and the proof says what it found in full."""

from __future__ import annotations

import datetime as dt
import itertools

import polars as pl
import pytest

from barlake.errors import InvalidInputError, LookAheadError
from barlake.leak_proof import Effort, ProofReport, Verdict
from feature_service.feature_set import FeatureSet
from feature_service.inputs import FeatureInputs
from feature_service.leak_proof import (
    history_proof,
    history_table,
    prefix_proof,
    prove_computation,
    prove_features,
)
from feature_service.sets import CORE, FEATURE_SETS

CLOSE, VOLUME = pl.col("close"), pl.col("volume")
ROW = pl.int_range(pl.len())
LITTLE = Effort(whole=4, pieces=4, per_piece=4, sweeps=4)


def proof_of(inputs: FeatureInputs, *, seed: int = 0, effort: Effort = LITTLE, **leaks: pl.Expr) -> ProofReport:
    return prove_computation(lambda given: given.bars.select(**leaks), inputs, seed=seed, effort=effort)


@pytest.mark.parametrize("feature_set", FEATURE_SETS.values(), ids=lambda one: one.name)
def test_no_feature_of_any_set_looks_ahead(feature_set: FeatureSet, full_inputs: FeatureInputs) -> None:
    report = prove_features(feature_set.features, full_inputs, seed=1)
    report.require_clean()
    assert report.columns == tuple(one.name for one in feature_set.features)
    assert report.frame()["verdict"].unique().to_list() == ["clean"]


def test_the_row_named_is_the_first_wrong_one_and_how_far_it_looked(full_inputs: FeatureInputs) -> None:
    late = pl.when(ROW >= 900).then(CLOSE.shift(-3)).otherwise(CLOSE)
    finding = proof_of(full_inputs, leak=late, effort=Effort(whole=40, pieces=0, sweeps=0)).findings[0]
    bars = full_inputs.bars
    assert finding.first_wrong_row >= 900
    assert finding.known_at == bars["timestamp"][finding.first_wrong_row] + dt.timedelta(minutes=1)
    assert finding.rows_ahead == 3
    three = bars["timestamp"][finding.first_wrong_row + 3] - bars["timestamp"][finding.first_wrong_row]
    assert finding.time_ahead == three
    assert finding.value == bars["close"][finding.first_wrong_row + 3]
    assert finding.looked_at == ("bars.close",)


def test_a_leak_is_an_error_that_names_the_feature_the_row_the_reach_and_the_column(
    full_inputs: FeatureInputs,
) -> None:
    with pytest.raises(LookAheadError) as raised:
        prefix_proof(lambda given: given.bars.select(good=CLOSE, bad=CLOSE.shift(-1), worse=CLOSE.max()), full_inputs)
    message = str(raised.value)
    assert message.startswith("feature 'bad' at row ")
    assert "it looks 1 rows (0:01:00) ahead, at bars.close" in message
    assert "These look ahead too: 'worse'" in message
    assert "'good'" not in message


@pytest.mark.parametrize("seed", range(4))
def test_one_wrong_row_in_a_thousand_is_found_by_sweeps(seed: int, full_inputs: FeatureInputs) -> None:
    rare = pl.when(ROW % 1000 == 371).then(CLOSE.shift(-1)).otherwise(CLOSE)
    # Ten wrong rows of ten thousand. Sixty sweeps nudge every row about once.
    report = proof_of(full_inputs, rare=rare, seed=seed, effort=Effort(whole=0, pieces=0, sweeps=60))
    assert [one.column for one in report.findings] == ["rare"]
    assert report.findings[0].first_wrong_row % 1000 == 371


def test_the_bits_count_not_what_is_printed(full_inputs: FeatureInputs) -> None:
    sign = pl.when(CLOSE.shift(-1) > CLOSE).then(-0.0).otherwise(0.0)
    assert [one.column for one in proof_of(full_inputs, sign=sign).findings] == ["sign"]


def test_a_null_that_becomes_a_value_counts_as_a_change(full_inputs: FeatureInputs) -> None:
    late = pl.when(pl.len() > 5000).then(CLOSE)
    assert not proof_of(full_inputs, late=late, effort=Effort(whole=20, pieces=0, sweeps=0)).is_clean


def test_what_is_another_value_each_time_is_called_unstable_not_a_leak(full_inputs: FeatureInputs) -> None:
    calls = itertools.count()
    report = prove_computation(
        lambda given: given.bars.select(x=CLOSE + float(next(calls))), full_inputs, effort=LITTLE
    )
    assert report.findings[0].verdict is Verdict.UNSTABLE
    with pytest.raises(InvalidInputError, match="'x' is not the same when it is computed twice"):
        report.require_clean()


def test_a_computation_with_rows_missing_is_refused(full_inputs: FeatureInputs) -> None:
    with pytest.raises(InvalidInputError, match="gave 1 rows for"):
        prefix_proof(lambda given: given.bars.select(CLOSE.mean()), full_inputs)


def test_one_bar_is_too_few_for_a_proof(full_inputs: FeatureInputs) -> None:
    with pytest.raises(InvalidInputError, match="at least two rows, there are 1"):
        proof_of(FeatureInputs(full_inputs.bars.head(1)), x=CLOSE)


def test_a_short_history_is_proven_too(full_inputs: FeatureInputs) -> None:
    few = FeatureInputs(full_inputs.bars.head(5))
    assert proof_of(few, x=CLOSE.shift(1)).is_clean
    assert not proof_of(few, x=CLOSE.shift(-1)).is_clean


def test_the_same_seed_tries_the_same(full_inputs: FeatureInputs) -> None:
    reports = [proof_of(full_inputs, seed=3, x=CLOSE / CLOSE.max()) for _ in range(2)]
    assert reports[0].findings == reports[1].findings
    assert reports[0].tried == reports[1].tried


def test_the_report_is_data(full_inputs: FeatureInputs) -> None:
    report = proof_of(full_inputs, good=CLOSE, bad=CLOSE.shift(-1))
    frame = report.frame()
    assert frame["column"].to_list() == ["good", "bad"]
    assert frame["verdict"].to_list() == ["clean", "leaks"]
    assert frame["rows_ahead"].to_list() == [None, 1]
    told = report.as_dict()
    assert told["clean"] is False
    assert told["borders"] == sum(told["tried"].values())
    assert told["rows"] == full_inputs.bars.height


# How much history ------------------------------------------------------------------------------------


def test_after_4000_bars_no_core_feature_remembers_where_the_history_began(full_inputs: FeatureInputs) -> None:
    needs = history_table(CORE.features, full_inputs, rows=4000)
    assert needs["rows_needed"].null_count() == 0
    by_name = {row["feature"]: row for row in needs.iter_rows(named=True)}
    assert by_name["sma_200"]["rows_needed"] == by_name["sma_200"]["history_bars"] == 199
    assert by_name["log_return_30"]["rows_to_same_bits"] == 30
    assert by_name["ema_26"]["rows_needed"] > by_name["ema_26"]["history_bars"]


def test_a_running_total_is_found_to_remember(full_inputs: FeatureInputs) -> None:
    signed = pl.when(CLOSE.diff() > 0).then(VOLUME).otherwise(-VOLUME)
    with pytest.raises(InvalidInputError, match="feature 'obv' still depends on where the history starts after 4000"):
        history_proof(lambda given: given.bars.select(obv=signed.cum_sum()), full_inputs)


def test_the_difference_of_a_running_total_forgets(full_inputs: FeatureInputs) -> None:
    signed = pl.when(CLOSE.diff() > 0).then(VOLUME).otherwise(-VOLUME)
    history_proof(lambda given: given.bars.select(obv_change=signed.cum_sum().diff(20)), full_inputs)
