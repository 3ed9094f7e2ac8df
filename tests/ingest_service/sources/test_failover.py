"""One source fails, and another of the same tape goes on; bars of other tapes stay out."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.settings import Settings
from barlake.source_settings import MassiveSettings, SourceSettings
from barlake.testing import temporary_lake
from ingest_service.backfill import backfill
from ingest_service.pages import BarsPage
from ingest_service.sources.failover import Failover
from ingest_service.sources.registry import source_named
from ingest_service.watch_list import Security
from tests.scripted_server import Answer, Script, serve, status

START = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
END = dt.datetime(2024, 1, 2, 21, 0, tzinfo=dt.UTC)

KEY, MORE = "KEY-OF-THE-TEST", "more"
REFUSED = status(403, {"message": "forbidden."})


def instant(minute: int) -> dt.datetime:
    return START + dt.timedelta(minutes=minute)


def of_alpaca(*minutes: int, then: str | None = None) -> Answer:
    rows = [
        {
            "t": instant(minute).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "o": 1,
            "h": 2,
            "l": 1,
            "c": 2,
            "v": 10,
            "n": 3,
            "vw": 1.5,
        }
        for minute in minutes
    ]
    return status(200, {"bars": {"SPY": rows}, "next_page_token": then})


def of_massive(*minutes: int) -> Answer:
    rows = [
        {"t": int(instant(minute).timestamp() * 1000), "o": 1, "h": 2, "l": 1, "c": 2, "v": 20, "n": 3, "vw": 1.5}
        for minute in minutes
    ]
    return status(200, {"status": "OK", "results": rows})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def both(primary: Script, backup: Script, **options: Any) -> Failover:
    own = MassiveSettings(api_key=SecretStr(KEY), base_url=backup.url, rpm=60_000)
    settings = Settings(
        ALPACA_API_KEY_ID=KEY, ALPACA_API_SECRET_KEY=KEY, ALPACA_DATA_URL=primary.url, ALPACA_RPM=60_000,
        sources=SourceSettings(massive=own),
    )  # fmt: skip
    return Failover([source_named(name, settings) for name in ("alpaca", "massive")], **options)


def fetch(failover: Failover, token: str | None = None, **options: Any) -> BarsPage:
    asked = {"feed": "sip", "page_token": token, "on_receipt": lambda _one: None} | options
    return failover.fetch_page("SPY", START, END, **asked)


def minutes(page: BarsPage) -> list[int]:
    assert not isinstance(page.rows, list)
    return [int((moment - START).total_seconds() // 60) for moment in page.rows["timestamp"]]


def test_the_backup_is_asked_when_the_key_of_the_primary_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with serve(REFUSED) as alpaca, serve(of_massive(0), of_massive(1)) as massive:
        failover = both(alpaca, massive)
        assert minutes(fetch(failover)) == [0]
        assert failover.source == "massive"
        assert minutes(fetch(failover)) == [1]
    assert len(alpaca.seen) == 1, "a source that failed is left alone for a while"
    said = [one for one in caplog.records if "others are asked in its place" in one.getMessage()]
    assert [one.levelno for one in said] == [logging.WARNING]


def test_the_primary_is_asked_again_after_a_while_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with serve(REFUSED, of_alpaca(2)) as alpaca, serve(of_massive(0)) as massive:
        failover = both(alpaca, massive, clock=clock, cool_down_s=60.0)
        fetch(failover)
        clock.now = 61.0
        assert minutes(fetch(failover)) == [2]
    assert failover.source == "alpaca"
    assert sum("answers again" in one.getMessage() for one in caplog.records) == 1


def test_a_window_is_gone_on_with_behind_the_last_bar() -> None:
    with serve(of_alpaca(0, 1, then=MORE), REFUSED) as alpaca, serve(of_massive(2, 3)) as massive:
        failover = both(alpaca, massive)
        one = fetch(failover)
        two = fetch(failover, one.next_page_token)
    assert alpaca.seen[1].params["page_token"] == MORE
    assert massive.seen[0].path.split("/")[-2] == str(int(instant(2).timestamp() * 1000))
    assert (minutes(one), minutes(two), two.next_page_token) == ([0, 1], [2, 3], None)


def test_a_token_from_the_time_of_one_source_is_the_primarys() -> None:
    with serve(of_alpaca(2)) as alpaca, serve() as massive:
        assert minutes(fetch(both(alpaca, massive), MORE)) == [2]
    assert alpaca.seen[0].params["page_token"] == MORE


def test_a_window_begun_by_a_source_that_is_named_no_more_goes_on_behind_its_last_bar() -> None:
    with serve(of_alpaca(3)) as alpaca, serve() as massive:
        assert minutes(fetch(both(alpaca, massive), f"gone|{instant(3).isoformat()}|{MORE}")) == [3]
    assert "page_token" not in alpaca.seen[0].params
    assert alpaca.seen[0].params["start"] == instant(3).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_what_is_wrong_with_the_request_is_nobodys_failure() -> None:
    wrong = status(400, {"message": "invalid symbol: SPY"})
    with serve(wrong) as alpaca, serve() as massive, pytest.raises(InvalidInputError, match="invalid symbol"):
        fetch(both(alpaca, massive))
    assert massive.seen == []


def test_when_all_fail_the_last_one_says_why() -> None:
    refused = status(401, {"error": "Unknown API Key"})
    with serve(REFUSED) as alpaca, serve(refused) as massive, pytest.raises(CredentialsError, match="MASSIVE_API_KEY"):
        fetch(both(alpaca, massive))


def test_another_tape_does_not_stand_in() -> None:
    with serve(REFUSED) as alpaca, serve() as massive, pytest.raises(CredentialsError, match="Alpaca refused"):
        fetch(both(alpaca, massive), feed="iex")
    assert massive.seen == []


def test_a_source_that_was_stopped_did_not_fail() -> None:
    with serve() as alpaca, serve() as massive:
        failover = both(alpaca, massive)
        for courier in failover._couriers:
            assert courier.line.stop is not None
            courier.line.stop.set()
        with pytest.raises(SourceError, match="stopped"):
            fetch(failover)
    assert massive.seen == []


def test_sources_are_asked_by_their_names_and_nobody_changes_over_to_a_substitute() -> None:
    asked: list[tuple[str, str]] = []

    def answer(failing: str) -> Callable[..., str]:
        def deed(courier: Any, name: str) -> str:
            asked.append((courier.source, name))
            if courier.source == failing:
                raise SourceError("down")
            return courier.source

        return deed

    spelt = Security("BRK.B", names={"massive": "BRK-B"})
    proxy = Security("SPX", category="indices", names={"alpaca": "SPY", "massive": "I:SPX"})
    with serve() as alpaca, serve() as massive:
        assert both(alpaca, massive, securities=[spelt]).first_answer("BRK.B", answer("alpaca")) == "massive"
        substitute = both(alpaca, massive, securities=[proxy])
        assert substitute.first_answer("SPX", answer("")) == "alpaca"
        assert substitute.source == "alpaca-spy"
        with pytest.raises(SourceError, match="down"):
            substitute.first_answer("SPX", answer("alpaca"))
    assert asked == [("alpaca", "BRK.B"), ("massive", "BRK-B"), ("alpaca", "SPY"), ("alpaca", "SPY")]


def test_a_backfill_goes_on_with_the_backup_and_each_commit_keeps_who_gave_its_bars() -> None:
    begun = of_alpaca(0, 1, then=MORE)
    with serve(begun, REFUSED) as alpaca, serve(*[of_massive(2, 3)] * 4) as massive, temporary_lake() as lake:
        report = backfill(lake, both(alpaca, massive), ["SPY"], "2024-01-02", "2024-01-03", feed="sip")
        assert report.symbols[0].bars_held == 4
        assert lake.bars("SPY", feed="sip")["volume"].to_list() == [10, 10, 20, 20]
        assert set(lake.manifest.receipts()["source"]) == {"alpaca", "massive"}
        assert {"alpaca", "massive"} <= set(lake.manifest.commits()["source"])
