"""A session followed live: streamed or polled, broken in every way, and equal to history in the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import polars as pl
import pytest
from pydantic import SecretStr

from barlake.errors import CredentialsError
from barlake.records import RowRank
from ingest_service.alpaca import AlpacaSource
from ingest_service.live.agent import LiveState
from tests.ingest_service.live.conftest import FEED, OPEN, Stage, until

Make = Callable[..., Stage]
SESSION = dt.date(2024, 7, 2)
END = dt.datetime(2024, 7, 3, 0, 0, tzinfo=dt.UTC)


def has_reached(stage: Stage, minutes: int) -> bool:
    newest = stage.newest(stage.symbols[0])
    return newest is not None and newest >= OPEN + dt.timedelta(minutes=30 + minutes)


def is_true(stage: Stage, session: dt.date = SESSION) -> None:
    truth = stage.truth(session)
    try:
        for symbol in stage.symbols:
            assert stage.bars(symbol, session).equals(stage.bars(symbol, session, truth)), symbol
        days = {"start": session, "end": session + dt.timedelta(days=1)}
        held = [lake.manifest.held(feed=FEED, **days) for lake in (stage.lake, truth)]
        assert held[0].equals(held[1])
    finally:
        truth.close()


def test_a_streamed_session_is_provisional_and_then_equals_history(stage: Make) -> None:
    made = stage(revised_share=0.3)
    with made.agent():
        until(lambda: made.seen(LiveState.STREAMING), "it streams")
        until(lambda: has_reached(made, 6), "six minutes came")
        ranks = made.lake.manifest.provisional(feed=FEED, symbol="SYNA")
        assert not ranks.is_empty()
        until(
            lambda: (
                not made.lake.manifest.provisional(feed=FEED, symbol="SYNA").filter(rank=RowRank.UPDATED_BAR).is_empty()
            ),
            "a correction came",
        )
        assert made.bars("SYNA", SESSION)["timestamp"][0] < OPEN
        until(lambda: shown(made) >= OPEN + dt.timedelta(minutes=36), "SQL shows it")
        made.settle(SESSION, END)
    assert made.errors == []
    # One request for each symbol made the session final.
    asked = [one["query"]["symbols"] for one in made.log() if one["at"] > "2024-07-03T00" and "symbols" in one["query"]]
    assert sorted(asked) == sorted(made.symbols)
    is_true(made)


def test_a_plan_without_a_stream_is_polled(stage: Make) -> None:
    made = stage()
    made.order("stream", {"faults": [{"fault": "error", "code": 409}]})
    with made.agent():
        until(lambda: has_reached(made, 4), "four minutes came")
        assert made.state() is LiveState.POLLING
        assert "the plan has no stream of this feed" in made.beats[-1].note
        made.settle(SESSION, END)
    is_true(made)


def test_without_a_stream_asked_for_it_is_polled(stage: Make) -> None:
    made = stage()
    with made.agent(with_stream=False):
        until(lambda: has_reached(made, 3), "three minutes came")
        assert not made.seen(LiveState.STREAMING)
    assert not [one for one in made.log() if one["method"] == "WS"]


def test_a_connection_that_breaks_is_made_again_and_what_was_missed_is_fetched(stage: Make) -> None:
    made = stage()
    with made.agent():
        until(lambda: made.state() is LiveState.STREAMING, "it streams")
        for times in range(2, 5):
            made.order("stream", {"faults": [{"fault": "disconnect_after", "n": 1}]})
            until(lambda times=times: len(auths(made)) >= times, "it connects again")
        reached = made.newest("SYNA")
        assert reached is not None
        until(lambda: (made.newest("SYNA") or reached) > reached + dt.timedelta(minutes=2), "bars go on")
        until(lambda: no_hole(made), "no minute is missing")


def test_a_silent_connection_is_given_up(stage: Make) -> None:
    made = stage()
    with made.agent():
        until(lambda: made.state() is LiveState.STREAMING, "it streams")
        made.order("stream", {"faults": [{"fault": "mute", "seconds": 600}]})
        until(lambda: any("silent for" in beat.note for beat in list(made.beats)), "the silence is noticed")
        until(lambda: len(auths(made)) >= 2, "it connects again")
        reached = made.newest("SYNA")
        assert reached is not None
        until(lambda: (made.newest("SYNA") or reached) > reached + dt.timedelta(minutes=2), "bars go on")


def test_garbage_duplicates_and_late_bars_do_no_harm(stage: Make) -> None:
    made = stage(revised_share=0.2)
    with made.agent():
        until(lambda: made.state() is LiveState.STREAMING, "it streams")
        faults = [
            {"fault": "garbage_frame", "n": 2},
            {"fault": "duplicate_bar", "n": 3},
            {"fault": "late_bar", "n": 2, "seconds": 90},
        ]
        made.order("stream", {"faults": faults})
        until(lambda: has_reached(made, 8), "bars go on")
        until(lambda: no_hole(made), "no minute is missing")
        made.settle(SESSION, END)
    is_true(made)


def test_a_second_client_is_told_so_and_waits_its_turn(stage: Make) -> None:
    made = stage()
    made.order("stream", {"faults": [{"fault": "error", "code": 406}]})
    with made.agent():
        until(lambda: any("406" in beat.note for beat in list(made.beats)), "the refusal is told")
        until(lambda: made.state() is LiveState.STREAMING, "it streams in the end")


@pytest.mark.parametrize(("code", "words"), [(402, "refuses the key"), (409, "no stream of this feed")])
def test_a_lasting_refusal_is_not_repeated(stage: Make, code: int, words: str) -> None:
    made = stage()
    made.order("stream", {"faults": [{"fault": "error", "code": code}]})
    with made.agent():
        until(lambda: has_reached(made, 3), "it polls")
        assert words in made.beats[-1].note
    assert len(auths(made)) == 1


def test_more_symbols_than_the_plan_has_are_polled(stage: Make) -> None:
    names = tuple(f"SYN{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(31))
    made = stage(*names, speed=60)
    with made.agent():
        until(lambda: has_reached(made, 2), "it polls")
        assert "fewer symbols" in made.beats[-1].note
        assert made.lake.symbols()["symbol"].to_list() == sorted(names)


def test_wrong_keys_are_said_before_the_stream_is_tried(stage: Make) -> None:
    made = stage()
    made.settings = made.settings.model_copy(update={"alpaca_secret_key": SecretStr("wrong")})
    with made.agent():
        until(lambda: made.errors, "the agent ends")
    assert isinstance(made.errors[0], CredentialsError)
    assert not auths(made)


def test_what_a_killed_agent_missed_is_fetched_by_the_next(stage: Make) -> None:
    made = stage()
    with made.agent():
        until(lambda: has_reached(made, 2), "two minutes came")
    made.leap(OPEN + dt.timedelta(hours=2))
    with made.agent():
        until(lambda: (made.newest("SYNA") or OPEN) > OPEN + dt.timedelta(hours=2), "bars go on")
        until(lambda: no_hole(made), "no minute is missing")
    made.leap(dt.datetime(2024, 7, 3, 14, 0, tzinfo=dt.UTC))
    with made.agent():
        until(lambda: made.is_final(SESSION), "the session of yesterday is final")
        until(lambda: (made.newest("SYNA") or OPEN) > dt.datetime(2024, 7, 3, 14, 1, tzinfo=dt.UTC), "today goes on")
    is_true(made)


def test_a_half_day_ends_at_five(stage: Make) -> None:
    half = dt.date(2024, 7, 3)
    end = dt.datetime(2024, 7, 3, 21, 0, tzinfo=dt.UTC)
    made = stage(now=end - dt.timedelta(minutes=3))
    with made.agent():
        until(lambda: made.seen(LiveState.SETTLING), "the session ends")
        until(lambda: made.is_final(half), "it is final after a quarter of an hour")
        until(lambda: made.state() is LiveState.WAITING, "it waits for the day after the holiday")
        assert made.beats[-1].session == dt.date(2024, 7, 5)
    is_true(made, half)


class Behind(AlpacaSource):
    """A source whose clock is behind."""

    def server_now(self) -> dt.datetime:
        return super().server_now() - dt.timedelta(seconds=90)


def test_a_session_is_final_the_same_evening_also_where_the_source_has_a_clock_that_is_behind(stage: Make) -> None:
    half = dt.date(2024, 7, 3)
    end = dt.datetime(2024, 7, 3, 21, 0, tzinfo=dt.UTC)
    made = stage("SYNA", now=end - dt.timedelta(minutes=1))
    with made.agent(kind=Behind):
        until(
            lambda: made.beats and made.beats[-1].session == dt.date(2024, 7, 5),
            "it waits for the day after the holiday",
        )
        assert made.is_final(half)
    is_true(made, half)


def test_before_the_session_it_waits(stage: Make) -> None:
    # On the first Monday of summer time the extended hours begin at eight, an hour earlier than on Friday.
    begin = dt.datetime(2024, 3, 11, 8, 0, tzinfo=dt.UTC)
    made = stage("SYNA", now=begin - dt.timedelta(minutes=2))
    with made.agent():
        until(lambda: any(beat.note == "until 2024-03-11 08:00 UTC" for beat in list(made.beats)), "it waits")
        until(lambda: made.seen(LiveState.STREAMING), "it streams when they begin")
    assert min(one["at"] for one in made.log()) >= "2024-03-11T08:00"


def test_halted_thin_and_unknown_symbols_are_no_errors(stage: Make) -> None:
    made = stage("SYNA", "HALT", "THIN", "NONE", "ZZZZ", now=dt.datetime(2024, 7, 2, 14, 4, tzinfo=dt.UTC))
    with made.agent():
        until(lambda: made.beats and made.beats[-1].halted == ("HALT",), "the halt is told")
        until(lambda: has_reached(made, -15), "bars go on")
        made.settle(SESSION, END)
    is_true(made)
    answers = made.lake.manifest.answers(feed=FEED)
    assert set(answers.filter(status="empty")["symbol"]) == {"NONE", "ZZZZ"}


def test_a_symbol_may_have_another_name_at_the_source(stage: Make) -> None:
    made = stage()
    with made.agent(names={"SYNB": "THIN"}):
        until(lambda: has_reached(made, 3), "it streams")
        until(lambda: made.count("SYNB"), "the other one too")
    assert made.lake.symbols()["symbol"].to_list() == ["SYNA", "SYNB"]
    asked = {one["query"]["symbols"] for one in made.log() if "symbols" in one["query"]}
    assert asked == {"SYNA,THIN"}
    assert set(made.lake.manifest.commits()["source"]) == {"alpaca", "alpaca-thin"}


def auths(stage: Stage) -> list[object]:
    return [one for one in stage.log() if one["method"] == "WS" and one["query"].get("action") == "auth"]


def no_hole(stage: Stage) -> bool:
    """Whether every minute that history has up to the last one stored is there."""
    newest = stage.newest("SYNA")
    assert newest is not None
    source = AlpacaSource.from_settings(stage.settings)
    page = source.fetch_page(
        "SYNA", newest.replace(hour=8, minute=0), newest, feed=FEED, on_receipt=lambda _receipt: None
    )
    held = stage.bars("SYNA", newest.date()).filter(
        pl.col("timestamp").is_between(newest.replace(hour=8, minute=0), newest, closed="left")
    )
    return len(page.rows) == held.height


def shown(stage: Stage) -> dt.datetime:
    newest = stage.lake.sql("SELECT max(timestamp) AS newest FROM bars")["newest"][0]
    assert isinstance(newest, dt.datetime)
    return newest
