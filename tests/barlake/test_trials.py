"""The ledger of trials: every try is in it, and nobody takes one out."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from barlake import layout
from barlake.backup import backup
from barlake.database import reading, writing
from barlake.errors import InvalidInputError, NotFoundError
from barlake.lake import Lake
from barlake.lake_database import database_of
from barlake.multiple_testing import SharpeFacts, deflated_sharpe
from barlake.rebuild import rebuild
from barlake.restore import restore
from barlake.sessions import Calendar
from barlake.stores import LocalStore
from barlake.testing import make_bars
from barlake.trials import TRIALS, Ended

if TYPE_CHECKING:
    from tests.barlake.conftest import Clock

pytestmark = pytest.mark.both_databases
DAYS = [dt.date(2024, 1, 2) + dt.timedelta(days=number) for number in range(40)]
STUDY = "sip SPY"


def earned(seed: int, mean: float = 0.0) -> dict[dt.date, float]:
    values = np.random.default_rng(seed).normal(mean, 0.01, len(DAYS))
    return dict(zip(DAYS, values.tolist(), strict=True))


def try_something(lake: Lake, number: int, *, kind: str = "training", mean: float = 0.0) -> str:
    return lake.trials.record(kind, STUDY, {"number": number}, returns=earned(number, mean))


def test_a_trial_is_on_record_before_its_result_is_known(lake: Lake, clock: Clock) -> None:
    with lake.trials.attempt("training", STUDY, {"horizon": 5}) as attempt:
        during = lake.trials.frame().row(0, named=True)
        attempt.fits, attempt.scores, attempt.artifact_id = 6, {"accuracy": 0.5}, "ab" * 8
        clock.moment += dt.timedelta(minutes=2)
    assert (during["status"], during["ended_at"], during["fits"]) == ("unfinished", None, None)
    after = lake.trials.frame().row(0, named=True)
    assert after["trial_id"] == during["trial_id"]
    assert (after["status"], after["fits"], after["artifact_id"]) == ("finished", 6, "ab" * 8)
    assert after["ended_at"] - after["begun_at"] == dt.timedelta(minutes=2)
    assert (json.loads(after["parameters"]), json.loads(after["scores"])) == ({"horizon": 5}, {"accuracy": 0.5})


@pytest.mark.parametrize(("error", "status"), [(ValueError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_a_trial_that_fails_counts_too(lake: Lake, error: type[BaseException], status: str) -> None:
    def fit_three_times() -> None:
        with lake.trials.attempt("training", STUDY, {}) as attempt:
            attempt.fits = 3
            raise error("the data has\0gone")

    with pytest.raises(error):
        fit_three_times()
    row = lake.trials.frame().row(0, named=True)
    assert (row["status"], row["fits"]) == (status, 3)
    assert row["error"].startswith(f"{error.__name__}: the data has")


@pytest.mark.parametrize("table", ["trials", "trial_outcomes"])
@pytest.mark.parametrize("statement", ["UPDATE {table} SET trial_id = 'x'", "DELETE FROM {table}"])
def test_the_database_itself_refuses_to_change_or_delete_a_trial(lake: Lake, table: str, statement: str) -> None:
    try_something(lake, 1)
    before = lake.trials.frame()
    with (
        pytest.raises(sa.exc.IntegrityError, match=f"{table} is append-only"),
        writing(lake.manifest.engine) as connection,
    ):
        connection.exec_driver_sql(statement.format(table=table))
    assert lake.trials.frame().equals(before)


@pytest.mark.parametrize("table", ["trials", "trial_outcomes"])
def test_no_other_way_around_is_open(lake: Lake, table: str) -> None:
    try_something(lake, 1)
    with reading(lake.manifest.engine) as connection:
        is_postgres = connection.dialect.name == "postgresql"
    replaced = f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT (trial_id) DO UPDATE SET trial_id = 'x'"
    copied = f"INTO {table} SELECT * FROM {table}"
    ways = (
        [f"TRUNCATE {table} CASCADE", replaced] if is_postgres else [f"INSERT OR REPLACE {copied}", f"REPLACE {copied}"]
    )
    before = lake.trials.frame()
    for way in ways:
        with pytest.raises(sa.exc.IntegrityError, match="append-only"), writing(lake.manifest.engine) as connection:
            connection.exec_driver_sql(way)
    assert lake.trials.frame().equals(before)


def test_no_outcome_stands_without_its_trial(lake: Lake) -> None:
    with pytest.raises(sa.exc.IntegrityError), writing(lake.manifest.engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO trial_outcomes (trial_id, ended_at, status, fits, scores) "
            "VALUES ('x', '2024-01-02 00:00:00', 'finished', 1, '{}')"
        )


def test_the_same_try_again_is_no_other_draw_and_a_placebo_is_none(lake: Lake) -> None:
    for number in (1, 2, 2, 2):
        last = try_something(lake, number)
    try_something(lake, 3, kind="placebo")
    found = lake.trials.deflation(last)
    assert found is not None
    assert found.trials == 2
    assert lake.trials.frame(STUDY).height == 5


def test_a_sharpe_ratio_is_deflated_by_all_tries_of_its_study_failed_ones_too(lake: Lake) -> None:
    ids = [try_something(lake, number) for number in range(4)]
    lake.trials.record("search", STUDY, {"number": 4}, "failed", error="ValueError: no")
    lake.trials.record("training", "sip QQQ", {"number": 9}, returns=earned(9))
    found = lake.trials.deflation(ids[0])
    own = [SharpeFacts.of(np.array(list(earned(number).values()))) for number in range(4)]
    sharpes = [one.sharpe for one in own if one is not None]
    assert found is not None
    assert own[0] is not None
    assert (found.trials, found.sessions) == (5, len(DAYS))
    assert found.sharpe_variance == pytest.approx(np.var(sharpes, ddof=1))
    expected = deflated_sharpe(own[0], sharpe_variance=float(np.var(sharpes, ddof=1)), trials=5)
    assert found.probability == pytest.approx(expected)


def test_where_only_one_try_has_a_sharpe_ratio_the_others_are_taken_to_spread_by_chance(lake: Lake) -> None:
    own = try_something(lake, 0)
    alone = lake.trials.deflation(own)
    for number in range(20):
        lake.trials.record("search", STUDY, {"candidate": number})
    found = lake.trials.deflation(own)
    assert alone is not None
    assert found is not None
    assert (alone.expected_best, found.trials) == (0.0, 21)
    assert found.sharpe_variance == pytest.approx(1 / (len(DAYS) - 1))
    assert found.expected_best > 1 / len(DAYS) ** 0.5
    assert found.probability < alone.probability


def test_a_trial_at_work_is_deflated_as_it_will_be_once_its_outcome_is_on_record(lake: Lake) -> None:
    for number in range(4):
        try_something(lake, number)
    with lake.trials.attempt("simulation", STUDY, {"number": 4}) as attempt:
        before = lake.trials.deflation(attempt.trial_id, earned(4))
        assert lake.trials.deflation(attempt.trial_id) is None
        attempt.returns = earned(4)
    assert before is not None
    assert before == lake.trials.deflation(attempt.trial_id)
    assert before.trials == 5


def test_a_trial_that_earned_nothing_has_no_sharpe_ratio(lake: Lake) -> None:
    assert lake.trials.deflation(lake.trials.record("training", STUDY, {})) is None
    with pytest.raises(NotFoundError, match="'nobody' is not in the ledger"):
        lake.trials.deflation("nobody")


def test_returns_of_a_study_stand_side_by_side_the_last_of_equal_tries_only(lake: Lake, clock: Clock) -> None:
    first = lake.trials.record("training", STUDY, {}, returns={DAYS[0]: 0.1})
    clock.moment += dt.timedelta(seconds=1)
    last = lake.trials.record("training", STUDY, {}, returns={DAYS[0]: 0.2})
    other = lake.trials.record("search", STUDY, {"other": 1}, returns={DAYS[1]: 0.3})
    found = lake.trials.returns(STUDY)
    assert first not in found.columns
    assert found.select("session", last, other).rows() == [(DAYS[0], 0.2, None), (DAYS[1], None, 0.3)]


def test_many_trials_are_recorded_at_once_in_the_order_given(lake: Lake) -> None:
    ended = [Ended({"number": number}, returns=earned(number), scores={"profit": number}) for number in range(30)]
    ended.append(Ended({"number": 30}, "failed", error="InvalidInputError: fast 9 is not below slow 5"))
    ids = lake.trials.record_many("simulation", STUDY, ended)
    rows = lake.trials.frame(STUDY)
    assert rows["trial_id"].to_list() == ids
    assert [json.loads(text)["number"] for text in rows["parameters"]] == list(range(31))
    assert rows["status"].to_list() == ["finished"] * 30 + ["failed"]
    assert rows["error"][30] == ended[30].error
    alone = lake.trials.record("simulation", "alone", {"number": 3}, returns=earned(3))
    assert lake.trials.frame("alone")["sharpe"][0] == rows["sharpe"][3]
    found = lake.trials.deflation(ids[3])
    assert found is not None
    assert found.trials == 31
    assert alone not in ids


def test_many_trials_are_recorded_whole_or_not_at_all(lake: Lake) -> None:
    ended = [Ended({"number": 0}), Ended({"number": 1}, "unfinished")]
    with pytest.raises(InvalidInputError, match="'unfinished' cannot be recorded"):
        lake.trials.record_many("simulation", STUDY, ended)
    assert lake.trials.record_many("simulation", STUDY, []) == []
    assert lake.trials.frame().is_empty()


def test_overfitting_needs_two_tries_and_enough_sessions(lake: Lake) -> None:
    assert lake.trials.overfitting(STUDY) is None
    try_something(lake, 0, mean=0.02)
    assert lake.trials.overfitting(STUDY) is None
    for number in range(1, 6):
        try_something(lake, number)
    found = lake.trials.overfitting(STUDY)
    assert found is not None
    assert found < 0.01
    lake.trials.record("training", STUDY, {"short": 1}, returns=dict(list(earned(7).items())[:7]))
    assert lake.trials.overfitting(STUDY) is None


def test_a_figure_that_is_no_number_is_kept_as_null(lake: Lake) -> None:
    lake.trials.record("training", STUDY, {"C": float("inf")}, scores={"auc": float("nan")})
    row = lake.trials.frame().row(0, named=True)
    assert (row["parameters"], row["scores"]) == ('{"C":null}', '{"auc":null}')


@pytest.mark.parametrize(
    ("kind", "study", "said"), [("guess", STUDY, "kind of trial 'guess'"), ("training", "", "0 characters"),
                                ("training", "s" * 129, "129 characters")],
)  # fmt: skip
def test_a_trial_that_cannot_be_filed_is_refused(lake: Lake, kind: str, study: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said), lake.trials.attempt(kind, study, {}):
        raise AssertionError("the work began")
    assert lake.trials.frame().is_empty()


def test_an_empty_ledger_has_its_columns(lake: Lake) -> None:
    assert dict(lake.trials.frame().schema) == TRIALS
    assert lake.sql("select * from trials").columns == list(TRIALS)


def test_trials_are_in_the_published_catalogue(lake: Lake) -> None:
    try_something(lake, 1)
    lake.publish()
    assert lake.sql("select kind, study, status from trials").rows() == [("training", STUDY, "finished")]


def write(lake: Lake) -> None:
    lake.write_bars(make_bars([dt.date(2024, 1, 2)], minutes=3), feed="sip", symbol="SPY")


def make_again(lake: Lake) -> bool:
    """Rebuild the manifest of a lake; whether the ledger went over."""
    url = database_of(lake.settings)
    return rebuild(lake.store, lake.root, Calendar.default(), now=lake.now, url=url).has_ledger


def test_a_rebuild_takes_the_ledger_over(lake: Lake) -> None:
    write(lake)
    try_something(lake, 1)
    before = lake.trials.frame()
    lake.close()
    assert make_again(lake)
    with Lake(lake.root, lake.settings) as again:
        assert again.trials.frame().equals(before)
        with pytest.raises(sa.exc.IntegrityError), writing(again.manifest.engine) as connection:
            connection.exec_driver_sql("DELETE FROM trials")


def test_a_backup_brings_the_ledger_back(lake: Lake, tmp_path: Path) -> None:
    write(lake)
    try_something(lake, 1)
    before = lake.trials.frame()
    backup(lake.store, lake.root, lake.manifest, tmp_path / "copies", now=lake.now)
    again = tmp_path / "again"
    restore(tmp_path / "copies", LocalStore(again), again)
    settings = lake.settings.model_copy(update={"database_url": None})
    with Lake(again, settings) as restored:
        assert restored.trials.frame().equals(before)


def test_a_manifest_that_cannot_be_read_loses_its_ledger_and_the_rebuild_says_so(
    lake: Lake, request: pytest.FixtureRequest
) -> None:
    if "postgresql" in request.node.name:
        pytest.skip("a damaged server is the server's own matter")
    write(lake)
    try_something(lake, 1)
    lake.close()
    file = lake.root / layout.MANIFEST_FILE
    file.write_bytes(b"no database at all" * 100)
    assert not make_again(lake)
    with Lake(lake.root, lake.settings) as again:
        assert again.trials.frame().is_empty()
        assert not pl.DataFrame(again.symbols()).is_empty()
