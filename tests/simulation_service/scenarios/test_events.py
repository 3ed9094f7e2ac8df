"""Events from files, macro releases and corporate actions, and the sessions and minutes they belong to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from barlake import Lake
from barlake.errors import InvalidInputError, NotFoundError
from barlake.sessions import Calendar
from barlake.testing import make_bars, temporary_lake
from simulation_service.scenarios.event_dates import action_events, at_time, events_from_csv, macro_events
from simulation_service.scenarios.event_study import Window
from simulation_service.scenarios.events import study_events

DAYS = Calendar.default().frame.filter(pl.col("session") >= dt.date(2024, 1, 2))["session"][:40].to_list()
SMALL = Window(before=2, after=2, expected_from=20)
EVENT = DAYS[30]


def stepped(factor: float, *, at: dt.datetime) -> pl.DataFrame:
    """Quiet bars whose prices are higher from an instant on."""
    bars = make_bars(DAYS, minutes=None, seed=3)
    later = pl.when(pl.col("timestamp") >= at).then(factor).otherwise(1.0)
    return bars.with_columns((pl.col(name) * later).round(2) for name in ("open", "high", "low", "close"))


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    """SPY and QQQ over 40 sessions; SPY rises by 5 % at 10:30 New York on the thirty-first."""
    with temporary_lake() as lake:
        at = dt.datetime.combine(EVENT, dt.time(15, 30), tzinfo=dt.UTC)
        lake.write_bars(stepped(1.05, at=at), feed="synthetic", symbol="SPY")
        lake.write_bars(make_bars(DAYS, seed=4), feed="synthetic", symbol="QQQ")
        yield lake


def csv(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_dates_times_and_instants_of_a_file_are_read(tmp_path: Path) -> None:
    path = csv(
        tmp_path / "e.csv", "date,time,name,symbol\n2024-05-02,,b,SPY\n2024-05-01,16:05,a,SPY\n2024-05-03,,c,QQQ\n"
    )
    assert events_from_csv(path, symbol="SPY").rows() == [
        ("a", dt.date(2024, 5, 1), dt.datetime(2024, 5, 1, 20, 5, tzinfo=dt.UTC)),
        ("b", dt.date(2024, 5, 2), None),
    ]
    zoned = csv(tmp_path / "z.csv", "timestamp\n2024-01-03T01:00:00Z\n2024-01-02T16:05:00-05:00\n")
    found = events_from_csv(zoned, symbol="SPY")
    # An hour after midnight in Greenwich is the evening before in New York.
    assert found["date"].to_list() == [dt.date(2024, 1, 2)] * 2
    assert found["instant"].dt.hour().to_list() == [21, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dates\n2024-05-01\n", "Did you mean 'date'"),
        ("name\na\n", "it needs a column date"),
        ("date,timestamp\n2024-05-01,2024-05-01T10:00:00Z\n", "it needs a column date"),
        ("date\n2024-05-01\n01.05.2024\n", "date '01.05.2024' in row 2 cannot be read"),
        ("date,time\n2024-05-01,noon\n", "time 'noon' in row 1 cannot be read"),
        ("timestamp\n2024-05-01T10:00:00\n", "timestamp '2024-05-01T10:00:00' in row 1 cannot be read"),
        ("date,symbol\n2024-05-01,QQQ\n", "has no event of 'SPY'"),
        ("", "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_its_first_fault(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        events_from_csv(csv(tmp_path / "e.csv", text), symbol="SPY")


def test_a_date_belongs_to_its_session_or_the_next_and_what_comes_after_the_close_to_the_next(lake: Lake) -> None:
    midday = dt.datetime.combine(EVENT, dt.time(15, 30), tzinfo=dt.UTC)
    events = pl.DataFrame(
        {
            "name": ["date", "midday", "evening before"],
            "date": [EVENT, EVENT, DAYS[29]],
            "instant": [None, midday, dt.datetime.combine(DAYS[29], dt.time(21, 30), tzinfo=dt.UTC)],
        },
        schema_overrides={"instant": pl.Datetime("us", "UTC")},
    )
    report = study_events(lake, "SPY", events, window=SMALL)
    assert report.study.used.tolist() == [0, 1, 2]
    # All three see the same rise at offset 0.
    assert report.study.abnormal[:, 2] == pytest.approx(np.full(3, np.log(1.05)), abs=0.02)
    assert np.abs(np.delete(report.study.abnormal, 2, axis=1)).max() < 0.03
    assert report.is_synthetic
    assert report.left_out == 0


def test_minutes_show_the_rise_in_the_minute_of_the_event(lake: Lake, tmp_path: Path) -> None:
    path = csv(tmp_path / "e.csv", f"date,time\n{EVENT},10:30\n")
    report = study_events(lake, "SPY", events_from_csv(path, symbol="SPY"), unit="minutes", window=Window(3, 3))
    assert report.study.cumulative[0][2] == pytest.approx(0, abs=0.002)
    assert report.study.cumulative[0][3] == pytest.approx(np.log(1.05), abs=0.002)
    assert report.study.table()["move_ratio"][3] > 20


def test_an_event_at_night_moves_the_first_minute_of_the_next_session(lake: Lake, tmp_path: Path) -> None:
    path = csv(tmp_path / "e.csv", f"timestamp\n{DAYS[29]}T22:00:00Z\n")
    report = study_events(lake, "SPY", events_from_csv(path, symbol="SPY"), unit="minutes", window=Window(1, 60))
    assert report.study.cumulative[0][-1] == pytest.approx(np.log(1.05), abs=0.01)


def test_minutes_need_the_time_of_every_event(lake: Lake, tmp_path: Path) -> None:
    events = events_from_csv(csv(tmp_path / "e.csv", f"date\n{EVENT}\n"), symbol="SPY")
    with pytest.raises(InvalidInputError, match="only the date is known"):
        study_events(lake, "SPY", events, unit="minutes")
    timed = at_time(events, "10:30")
    assert timed["instant"][0] == dt.datetime.combine(EVENT, dt.time(15, 30), tzinfo=dt.UTC)
    assert study_events(lake, "SPY", timed, unit="minutes", window=Window(1, 1)).events.height == 1
    with pytest.raises(InvalidInputError, match="write it as 08:30"):
        at_time(events, "half past")


def test_a_benchmark_that_moves_alike_takes_the_event_away(lake: Lake, tmp_path: Path) -> None:
    events = events_from_csv(csv(tmp_path / "e.csv", f"date\n{EVENT}\n"), symbol="SPY")
    report = study_events(lake, "SPY", events, window=SMALL, benchmark="QQQ")
    assert report.benchmark == "QQQ"
    assert report.as_dict()["offsets"][2]["mean_abnormal"] == pytest.approx(np.log(1.05), abs=0.02)
    with pytest.raises(InvalidInputError, match="goes with sessions"):
        study_events(lake, "SPY", events, unit="minutes", benchmark="QQQ")


def test_events_outside_the_bars_are_counted(lake: Lake, tmp_path: Path) -> None:
    events = events_from_csv(csv(tmp_path / "e.csv", f"date\n{EVENT}\n2030-01-02\n1999-01-04\n"), symbol="SPY")
    assert study_events(lake, "SPY", events, window=SMALL).left_out == 2
    with pytest.raises(InvalidInputError, match="none of 2 events lies among the bars, which run from 2024-01-02"):
        study_events(lake, "SPY", events.filter(pl.col("date") != EVENT), window=SMALL)


def test_releases_of_a_series_are_the_first_of_each_value(lake: Lake) -> None:
    rows = pl.DataFrame(
        {
            "series": ["CPI"] * 3,
            "date": [dt.date(2024, 1, 1), dt.date(2024, 1, 1), dt.date(2024, 2, 1)],
            "value": [1.0, 1.1, 2.0],
            "known_at": [
                dt.datetime(2024, 2, 14, 5, tzinfo=dt.UTC),
                dt.datetime(2024, 3, 13, 4, tzinfo=dt.UTC),
                dt.datetime(2024, 2, 13, 13, 30, tzinfo=dt.UTC),
            ],
        }
    )
    lake.write_macro(rows, source="fred")
    # Known from midnight on the 14th: released on the 13th, at an hour that the source does not say.
    assert macro_events(lake, "CPI").rows() == [
        ("CPI of 2024-01-01", dt.date(2024, 2, 13), None),
        ("CPI of 2024-02-01", dt.date(2024, 2, 13), dt.datetime(2024, 2, 13, 13, 30, tzinfo=dt.UTC)),
    ]
    with pytest.raises(NotFoundError, match="CPJ"):
        macro_events(lake, "CPJ")


def test_ex_dates_are_events_too(lake: Lake, tmp_path: Path) -> None:
    actions = csv(tmp_path / "a.csv", f"symbol,ex_date,kind,ratio,cash_usd\nSPY,{EVENT},dividend,,1.5\n")
    lake.import_actions(actions, source="issuer")
    assert action_events(lake, "SPY", "dividend").rows() == [("dividend", EVENT, None)]
    with pytest.raises(NotFoundError, match="no split of SPY is held"):
        action_events(lake, "SPY", "split")
    with pytest.raises(InvalidInputError, match="splitt"):
        action_events(lake, "SPY", "splitt")
