"""What is missing is fetched, the newest stretch again, and every row keeps who gave it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from barlake.errors import CredentialsError, SourceError
from barlake.lake import Lake
from barlake.settings import Settings
from barlake.source_settings import FredSettings, MassiveSettings, SourceSettings
from barlake.testing import temporary_lake
from ingest_service.record_fetching import FetchStep, fetch_daily, fetch_macro, fetch_news
from ingest_service.sources.failover import Failover
from ingest_service.sources.registry import source_named
from ingest_service.watch_list import Security
from tests.scripted_server import Answer, Script, serve, status

KEY, MORE = "KEY-OF-THE-TEST", "more"
NOW = dt.datetime(2024, 2, 1, 15, tzinfo=dt.UTC)
START = dt.date(2024, 1, 2)
REFUSED = status(403, {"message": "forbidden."})


@pytest.fixture(autouse=True)
def _straight_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def lake() -> Iterator[Lake]:
    with temporary_lake(now=lambda: NOW) as lake:
        yield lake


def sources(*names: str, securities: tuple[Security, ...] = (), **scripts: Script) -> Failover:
    urls = {name: script.url for name, script in scripts.items()}
    away = "http://127.0.0.1:9"
    own = SourceSettings(
        massive=MassiveSettings(api_key=SecretStr(KEY), base_url=urls.get("massive", away), rpm=60_000),
        fred=FredSettings(api_key=SecretStr(KEY), base_url=urls.get("fred", away), rpm=60_000),
    )
    settings = Settings(
        ALPACA_API_KEY_ID=KEY, ALPACA_API_SECRET_KEY=KEY, ALPACA_DATA_URL=urls.get("alpaca", away),
        ALPACA_RPM=60_000, sources=own,
    )  # fmt: skip
    return Failover([source_named(name, settings) for name in names], securities=securities)


def days(symbol: str, *dates: str, then: str | None = None, close: float = 2.0) -> Answer:
    rows = [{"t": f"{day}T05:00:00Z", "o": 1, "h": 3, "l": 1, "c": close, "v": 10, "n": 3, "vw": 1.5} for day in dates]
    return status(200, {"bars": {symbol: rows} if rows else {}, "next_page_token": then})


def windows(script: Script) -> list[tuple[str, str]]:
    """Dates asked for, both inside."""
    return [(one.params["start"], one.params["end"]) for one in script.seen]


def test_days_are_kept_under_their_source_page_by_page(lake: Lake) -> None:
    steps: list[FetchStep] = []
    with serve(days("SPY", "2024-01-02", then=MORE), days("SPY", "2024-01-03")) as script:
        (one,) = fetch_daily(lake, sources("alpaca", alpaca=script), ["spy"], START, on_step=steps.append)
    assert (one.symbol, one.sources, one.requests, one.written.inserted) == ("SPY", ("alpaca",), 2, 2)
    held = lake.daily("SPY")
    assert held.select("source", "session", "close").rows() == [
        ("alpaca", dt.date(2024, 1, 2), 2.0),
        ("alpaca", dt.date(2024, 1, 3), 2.0),
    ]
    assert steps == [FetchStep("SPY", 1, 1, 2)]
    assert windows(script)[0] == ("2024-01-02", "2024-02-01")
    assert lake.catalogue_path.exists()


def test_a_second_run_asks_for_the_newest_stretch_alone_and_keeps_what_was_mended(lake: Lake) -> None:
    answers = (days("SPY", "2024-01-02", "2024-01-31"), days("SPY", "2024-01-31", close=2.5))
    with serve(*answers) as script:
        asked = sources("alpaca", alpaca=script)
        fetch_daily(lake, asked, ["SPY"], START)
        (two,) = fetch_daily(lake, asked, ["SPY"], START)
    assert windows(script)[1] == ("2024-01-25", "2024-02-01")
    assert (two.written.inserted, two.written.changed) == (0, 1)
    assert lake.daily("SPY")["close"].to_list() == [2.0, 2.5]


def test_an_earlier_start_asks_for_what_lies_before_and_leaves_no_hole(lake: Lake) -> None:
    with serve(days("SPY", "2024-01-31"), *[days("SPY")] * 2) as script:
        asked = sources("alpaca", alpaca=script)
        fetch_daily(lake, asked, ["SPY"], dt.date(2024, 1, 30))
        fetch_daily(lake, asked, ["SPY"], dt.date(2023, 1, 3), dt.date(2023, 2, 1))
    assert windows(script)[1] == ("2023-01-03", "2024-01-29")


def test_an_empty_answer_is_an_answer(lake: Lake) -> None:
    with serve(days("SPY"), days("SPY")) as script:
        asked = sources("alpaca", alpaca=script)
        fetch_daily(lake, asked, ["SPY"], START)
        fetch_daily(lake, asked, ["SPY"], START)
    assert windows(script)[1][0] == "2024-01-25"


def test_what_was_not_answered_to_its_last_page_is_asked_for_again(lake: Lake) -> None:
    with serve(days("SPY", "2024-01-02", then=MORE), REFUSED, days("SPY", "2024-01-02", "2024-01-03")) as script:
        asked = sources("alpaca", alpaca=script)
        with pytest.raises(CredentialsError):
            fetch_daily(lake, asked, ["SPY"], START)
        assert lake.daily("SPY").height == 1, "the page that came is kept"
        fetch_daily(lake, asked, ["SPY"], START)
    assert windows(script)[2] == ("2024-01-02", "2024-02-01")
    assert lake.daily("SPY").height == 2


def test_a_symbol_the_source_calls_wrong_does_not_keep_the_others_back(lake: Lake) -> None:
    wrong = status(400, {"message": "invalid symbol: X-Y"})
    with serve(wrong, days("SPY", "2024-01-02")) as script:
        bad, good = fetch_daily(lake, sources("alpaca", alpaca=script), ["X-Y", "SPY"], START)
    assert bad.failure is not None
    assert "X-Y" in bad.failure
    assert good.written.inserted == 1


def test_the_backup_gives_the_days_and_the_primary_is_asked_for_them_later(lake: Lake) -> None:
    midnight = int(dt.datetime(2024, 1, 2, 5, tzinfo=dt.UTC).timestamp() * 1000)
    rows = [{"t": midnight, "o": 1, "h": 3, "l": 1, "c": 2.2, "v": 10}]
    answer = status(200, {"status": "OK", "results": rows})
    with serve(REFUSED, days("SPY", "2024-01-02")) as alpaca, serve(answer) as massive:
        scripts: dict[str, Any] = {"alpaca": alpaca, "massive": massive}
        (one,) = fetch_daily(lake, sources("alpaca", "massive", **scripts), ["SPY"], START)
        assert (one.sources, lake.daily("SPY")["source"].to_list()) == (("massive",), ["massive"])
        fetch_daily(lake, sources("alpaca", "massive", **scripts), ["SPY"], START)
    assert windows(alpaca)[1] == ("2024-01-02", "2024-02-01")
    assert lake.daily("SPY", source="all")["source"].to_list() == ["alpaca", "massive"]


def test_a_row_that_cannot_be_read_goes_to_quarantine(lake: Lake) -> None:
    row = {"t": "2024-01-02T05:00:00Z", "o": "x", "h": 3, "l": 1, "c": 2, "v": 10}
    with serve(status(200, {"bars": {"SPY": [row]}, "next_page_token": None})) as script:
        (one,) = fetch_daily(lake, sources("alpaca", alpaca=script), ["SPY"], START)
    assert one.written.quarantined == 1
    assert lake.manifest.quarantine()["reason"].to_list() == ["o is no number: 'x'"]


def test_a_security_is_asked_for_by_the_name_of_the_source_and_kept_by_its_own(lake: Lake) -> None:
    security = Security("SPX", category="indices", names={"alpaca": "SPY"})
    with serve(days("SPY", "2024-01-02")) as script:
        fetch_daily(lake, sources("alpaca", alpaca=script, securities=(security,)), ["SPX"], START)
    assert lake.daily("SPX").select("symbol", "source").rows() == [("SPX", "alpaca-spy")]


def observations(*rows: tuple[str, str, str]) -> Answer:
    inner = "".join(
        f'<observation realtime_start="{released}" realtime_end="9999-12-31" date="{date}" value="{value}"/>'
        for released, date, value in rows
    )
    return status(200, f"<observations>{inner}</observations>")


def test_a_feature_sees_of_a_series_what_was_published_by_then(lake: Lake) -> None:
    releases = observations(("2023-12-20", "2023-10-01", "1.0"), ("2024-01-25", "2023-10-01", "1.5"))
    with serve(releases) as script:
        (one,) = fetch_macro(lake, sources("fred", fred=script), ["GDP"], dt.date(2023, 1, 1))
    assert one.written.inserted == 2
    assert lake.macro("GDP", known_by="2024-01-10T00:00:00Z")["value"].to_list() == [1.0]
    assert lake.macro("GDP", known_by="2024-01-26T04:59:00Z")["value"].to_list() == [1.0]
    assert lake.macro("GDP", known_by="2024-01-26T05:00:00Z")["value"].to_list() == [1.5]


def article(number: int, headline: str, *symbols: str) -> dict[str, Any]:
    moment = f"2024-01-{number:02}T14:00:00Z"
    return {"id": number, "headline": headline, "created_at": moment, "updated_at": moment, "symbols": list(symbols)}


def news(*rows: dict[str, Any], then: str | None = None) -> Answer:
    return status(200, {"news": list(rows), "next_page_token": then})


def test_news_of_several_symbols_are_asked_for_together_and_a_new_one_by_itself(lake: Lake) -> None:
    first = (news(article(3, "A", "AAPL"), then=MORE), news(article(4, "B", "SPY", "AAPL")))
    with serve(*first, news(), news(article(5, "C", "QQQ"))) as script:
        asked = sources("alpaca", alpaca=script)
        (one,) = fetch_news(lake, asked, ["AAPL", "SPY"], START)
        fetch_news(lake, asked, ["AAPL", "SPY", "QQQ"], START)
    assert (one.requests, one.written.inserted) == (2, 2)
    assert [(each.params["symbols"], each.params["start"][:10]) for each in script.seen] == [
        ("AAPL,SPY", "2024-01-02"), ("AAPL,SPY", "2024-01-02"), ("AAPL,SPY", "2024-01-30"), ("QQQ", "2024-01-02"),
    ]  # fmt: skip
    assert lake.news(["SPY"])["headline"].to_list() == ["B"]
    assert lake.news()["article_id"].to_list() == ["3", "4", "5"]


def test_an_outage_in_the_middle_of_many_news_keeps_what_came(lake: Lake) -> None:
    with serve(news(article(3, "A"), then=MORE), *[status(500)] * 6) as script:
        failover = sources("alpaca", alpaca=script)
        for courier in failover._couriers:
            courier._asker.backoff_seconds = 0.01
        with pytest.raises(SourceError):
            fetch_news(lake, failover, [], START)
    assert lake.news().height == 1
