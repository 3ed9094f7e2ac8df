"""What is due, told from what the lake holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.jobs.planning import Part, Plan, plan
from barlake.lake import Lake
from barlake.receipts import Receipt
from barlake.records import Answer, AnswerStatus, RowRank
from barlake.testing import make_bars
from barlake.writer import Progress
from feature_service.build import build_features
from ingest_service.alpaca_actions import AHEAD, ENDPOINT
from ingest_service.watch_list import Security, WatchList

NOW = dt.datetime(2024, 7, 9, 6, 30, tzinfo=dt.UTC)
"""A Tuesday; the sessions before it are 1, 2, 3 (an early close), 5 and 8 July."""

JULY = [dt.date(2024, 7, day) for day in (1, 2, 3, 5, 8)]
BARS = {Part.BARS, Part.SESSIONS, Part.RECHECK}


class Clock:
    now = NOW


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lake(tmp_path: Path, clock: Clock) -> Iterator[Lake]:
    from barlake.settings import Settings

    with Lake(tmp_path / "lake", Settings(_env_file=None), now=lambda: clock.now) as lake:
        yield lake


def watch(*securities: Security, features: tuple[str, ...] = ()) -> WatchList:
    return WatchList(Path("securities.yaml"), securities, features)


def spy(start: dt.date = JULY[0], **options: object) -> Security:
    return Security("SPY", "etfs", start=start, **options)  # type: ignore[arg-type]


def hold(lake: Lake, sessions: list[dt.date], *, rank: RowRank = RowRank.FINAL, answered: bool = True) -> None:
    lake.writer.write(make_bars(sessions), feed="sip", symbol="SPY", source="alpaca", rank=rank)
    if answered:
        answers = [Answer(day, AnswerStatus.COMPLETE) for day in sessions]
        lake.writer.finalise(sessions, feed="sip", symbol="SPY", source="alpaca", progress=Progress(answers=answers))


def told(found: Plan) -> list[tuple[str, str]]:
    return [(one.job.key, one.why) for one in found.due]


def test_missing_sessions_are_due_by_month_newest_first(lake: Lake) -> None:
    found = plan(lake, watch(spy(dt.date(2024, 6, 27))), NOW, parts=BARS)
    assert told(found) == [
        ("bars/sip/SPY/2024-07", "5 sessions are missing"),
        ("bars/sip/SPY/2024-06", "2 sessions are missing"),
    ]
    assert found.due[0].job.arguments == {"feed": "sip", "symbol": "SPY", "start": "2024-07-01", "end": "2024-07-09"}


def test_a_session_is_not_due_before_its_extended_hours_are_given_out(lake: Lake) -> None:
    half_day = watch(spy(dt.date(2024, 7, 3)))
    evening = dt.datetime(2024, 7, 3, 21, 15, tzinfo=dt.UTC)
    assert told(plan(lake, half_day, evening, parts=BARS)) == []
    assert len(plan(lake, half_day, evening + dt.timedelta(minutes=1), parts=BARS).due) == 1


def test_what_is_answered_is_looked_at_again_on_two_days_and_then_left(lake: Lake, clock: Clock) -> None:
    clock.now = NOW - dt.timedelta(hours=6)
    hold(lake, JULY)
    assert told(plan(lake, watch(spy()), NOW - dt.timedelta(hours=3), parts=BARS)) == []
    expected = [
        ("session/sip/SPY/2024-07-05", "2024-07-05 is looked at again"),
        ("session/sip/SPY/2024-07-08", "2024-07-08 is looked at again"),
    ]
    assert told(plan(lake, watch(spy()), NOW, parts=BARS)) == expected
    assert told(plan(lake, watch(spy()), NOW, parts={Part.BARS, Part.SESSIONS})) == []


def test_provisional_sessions_are_made_final_before_all_else(lake: Lake) -> None:
    hold(lake, JULY[:4])
    hold(lake, JULY[4:], rank=RowRank.BAR, answered=False)
    found = plan(lake, watch(spy(JULY[0]), Security("QQQ", start=JULY[4])), NOW, parts=BARS)
    assert [one.job.key for one in found.due] == ["session/sip/SPY/2024-07-08", "bars/sip/QQQ/2024-07"]
    assert found.due[0].job.priority < found.due[1].job.priority  # type: ignore[operator]


def test_a_running_session_is_nobodys_business(lake: Lake) -> None:
    hold(lake, JULY)
    noon = dt.datetime(2024, 7, 9, 17, tzinfo=dt.UTC)
    lake.writer.write(
        make_bars([dt.date(2024, 7, 9)], minutes=30), feed="sip", symbol="SPY", source="alpaca", rank=RowRank.BAR
    )
    assert told(plan(lake, watch(spy()), noon, parts={Part.BARS, Part.SESSIONS})) == []


def test_another_name_goes_along_and_what_nobody_has_is_noted(lake: Lake) -> None:
    spx = Security("SPX", "indices", names={"alpaca": "SPY"}, start=JULY[4])
    vix = Security("VIX", "indices", names={"yahoo": "^VIX"})
    later = Security("NEWC", start=dt.date(2024, 8, 1))
    found = plan(lake, watch(spx, vix, later), NOW, parts=BARS)
    assert [one.job.arguments["name"] for one in found.due] == ["SPY"]
    assert [(one.symbol, one.text.split(":")[0]) for one in found.notes] == [
        ("VIX", "no minute bars"),
        ("NEWC", "begins on 2024-08-01"),
    ]


def asked(lake: Lake, symbol: str, on: dt.date, *, complete: bool = True) -> None:
    midnight = dt.datetime.combine(on, dt.time(), tzinfo=dt.UTC)
    receipt = Receipt(
        requested_at=NOW, source="alpaca", endpoint=ENDPOINT, feed="-", symbol=symbol, start=midnight,
        end=midnight + AHEAD, page_token=None, next_page_token=None, rows=0, status=200, complete=complete, attempt=1,
        duration_ms=1.0, request_id=None, rate_limit_remaining=None, error=None,
    )  # fmt: skip
    lake.manifest.add_receipts([receipt])


def actions_due(lake: Lake, *names: str, now: dt.datetime = NOW) -> dict[str, object] | None:
    securities = [Security(name) for name in names]
    found = plan(lake, watch(*securities), now, parts={Part.ACTIONS}).due
    return {name: found[0].job.arguments[name] for name in ("symbols", "whole")} if found else None


def test_actions_are_asked_for_from_the_beginning_once_a_month_and_their_newest_every_day(lake: Lake) -> None:
    today = NOW.date()
    assert actions_due(lake, "SPY", "QQQ") == {"symbols": [], "whole": ["SPY", "QQQ"]}
    asked(lake, "SPY", today - dt.timedelta(days=29))
    asked(lake, "QQQ", today, complete=False)
    assert actions_due(lake, "SPY", "QQQ") == {"symbols": ["SPY"], "whole": ["QQQ"]}
    asked(lake, "QQQ", today)
    asked(lake, "*", today)
    assert actions_due(lake, "SPY", "QQQ") is None
    tomorrow = NOW + dt.timedelta(days=1)
    assert actions_due(lake, "SPY", "QQQ", now=tomorrow) == {"symbols": ["QQQ"], "whole": ["SPY"]}


def test_a_fund_that_stands_for_an_index_lends_it_no_dividends(lake: Lake) -> None:
    spx = Security("SPX", "indices", names={"alpaca": "SPY"})
    assert plan(lake, watch(spx), NOW, parts={Part.ACTIONS}).due == ()


def test_the_calendar_is_compared_where_there_is_a_key(lake: Lake) -> None:
    assert plan(lake, watch(spy()), NOW, parts={Part.CALENDAR}).due == ()
    keys = {"ALPACA_API_KEY_ID": "your-key-id", "ALPACA_API_SECRET_KEY": "your-secret-key"}
    lake.settings = type(lake.settings).model_validate(keys)
    assert told(plan(lake, watch(spy()), NOW, parts={Part.CALENDAR}))[0][0] == "calendar/2024-07-09"


def test_features_are_due_when_their_bars_are_others_and_never_otherwise(lake: Lake, clock: Clock) -> None:
    wanted = watch(spy(), Security("QQQ"), features=("core",))

    def due() -> list[tuple[str, str]]:
        return told(plan(lake, wanted, NOW, parts={Part.FEATURES}))

    assert due() == []  # no bars, no table
    hold(lake, JULY)
    ((first, why),) = due()
    assert (first.startswith("features/core/SPY/"), why) == (True, "never built")
    build_features(lake, ["SPY"], feed="sip")
    assert due() == []
    clock.now += dt.timedelta(minutes=1)
    hold(lake, JULY)
    assert due() == []  # the same bars again
    old = make_bars(JULY[:1], seed=9).head(1)
    lake.writer.write(old, feed="sip", symbol="SPY", source="alpaca")
    ((second, why),) = due()
    assert (second != first, why) == (True, "its bars have changed")
    build_features(lake, ["SPY"], feed="sip")
    assert due() == []
