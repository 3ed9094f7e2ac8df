from __future__ import annotations

import datetime as dt
import json
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import ValidationError

from ingest_service.emulator.fault_rules import FaultRule, FaultRules
from ingest_service.emulator.faults import Fault

NOW = dt.datetime(2024, 11, 1, 20, 0, 20, tzinfo=dt.UTC)


def ordered(visitor: Any, **rule: object) -> None:
    visitor.control("/_emu/faults", {"rules": [rule]})


@pytest.fixture
def visitor(emulate: Any, folder: Path) -> Any:
    return emulate(bars=folder, feed="iex", now=NOW, speed=0, gzip_level=0)


def volumes(answer: requests.Response) -> list[int]:
    return [row["v"] for row in answer.json()["bars"].get("AAA") or []]


def test_a_rule_strikes_once_and_only_its_path(visitor: Any) -> None:
    ordered(visitor, fault="status", path="/v2/clock", status=502, body="html")
    assert visitor.bars("AAA").status_code == 200
    answers = [visitor.get("/v2/clock") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [502, 200]
    assert answers[0].text.startswith("<html>")
    assert visitor.log()[-2]["fault"] == "status"


def test_rules_strike_in_their_order_after_so_many_requests_and_so_often(visitor: Any) -> None:
    ordered(visitor, fault="status", after=1, times=2, body="empty")
    ordered(visitor, fault="rate_limit", symbol="BBB")
    answers = [visitor.bars(symbol) for symbol in ("AAA", "AAA", "BBB", "BBB", "BBB")]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 429, 200]
    assert answers[1].text == ""


def test_a_rule_by_chance_depends_on_its_seed_alone() -> None:
    def strikes(seed: int) -> list[bool]:
        rules = FaultRules([FaultRule(fault=Fault.STATUS, probability=0.3, seed=seed)])
        return [rules.take("/v2/stocks/bars", "AAA") is not None for _ in range(200)]

    assert strikes(1) == strikes(1) != strikes(2)
    assert 30 < sum(strikes(1)) < 90


def test_other_names_of_a_fault_are_understood_and_wrong_ones_refused() -> None:
    assert FaultRule.model_validate({"fault": "truncate"}).fault is Fault.TRUNCATED_JSON
    with pytest.raises(ValidationError, match="Did you mean 'truncated_json'"):
        FaultRule.model_validate({"fault": "truncate_json"})


def test_rules_can_be_cleared_and_reset_clears_them(visitor: Any) -> None:
    ordered(visitor, fault="status", times=9)
    assert visitor.control("/_emu/faults", {"clear": True})["rules"] == []
    ordered(visitor, fault="status", times=9)
    visitor.control("/_emu/reset")
    assert visitor.bars("AAA").status_code == 200


@pytest.mark.parametrize(("seconds", "ahead"), [(30, 30), (-60, -60)])
def test_a_storm_names_a_reset_also_in_the_past(visitor: Any, seconds: int, ahead: int) -> None:
    ordered(visitor, fault="storm", times=3, seconds=seconds)
    answers = [visitor.bars("AAA") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 429, 200]
    assert int(answers[0].headers["X-RateLimit-Reset"]) - int(NOW.timestamp()) == ahead


def test_a_storm_may_name_no_limit_at_all(visitor: Any) -> None:
    ordered(visitor, fault="storm", headers=False)
    assert not [name for name in visitor.bars("AAA").headers if name.startswith("X-RateLimit")]


def test_a_connection_may_close_before_anything_is_answered(visitor: Any) -> None:
    ordered(visitor, fault="drop", before_head=True)
    with pytest.raises(requests.ConnectionError):
        visitor.bars("AAA")
    assert visitor.bars("AAA").status_code == 200


def test_a_corrupt_body_cannot_be_unpacked(visitor: Any) -> None:
    ordered(visitor, fault="corrupt_gzip")
    with pytest.raises(requests.exceptions.ContentDecodingError):
        visitor.bars("AAA")


def test_a_skewed_clock_is_wrong_by_so_much(visitor: Any) -> None:
    ordered(visitor, fault="clock_skew", seconds=-90, path="/v2/clock")
    wrong = parsedate_to_datetime(visitor.get("/v2/clock").headers["Date"])
    assert wrong == NOW - dt.timedelta(seconds=90)


def test_some_prices_are_nan(visitor: Any) -> None:
    ordered(visitor, fault="nan", share=0.1)
    highs = [row["h"] for row in json.loads(visitor.bars("AAA").text)["bars"]["AAA"]]
    assert sum(high != high for high in highs) == 25  # noqa: PLR0124 - NaN is what differs from itself


def test_some_rows_lack_their_close(visitor: Any) -> None:
    ordered(visitor, fault="missing_field")
    rows = visitor.bars("AAA").json()["bars"]["AAA"]
    assert sum("c" not in row for row in rows) == 2


def test_some_minutes_are_withheld_once(visitor: Any) -> None:
    ordered(visitor, fault="missing_minutes", share=0.2)
    assert len(volumes(visitor.bars("AAA"))) == 200
    assert len(volumes(visitor.bars("AAA"))) == 250


def test_volumes_are_floats(visitor: Any) -> None:
    ordered(visitor, fault="float_volume")
    assert '"v":1.0,' in visitor.bars("AAA", limit=1).text


def test_nothing_is_written_as_null(visitor: Any) -> None:
    ordered(visitor, fault="null_bars")
    ordered(visitor, fault="null_symbol")
    assert visitor.bars("AAA").json()["bars"] is None
    assert visitor.bars("AAA").json()["bars"] == {"AAA": None}


def test_pages_that_never_end_or_begin_again(visitor: Any) -> None:
    token = visitor.bars("AAA", limit=100).json()["next_page_token"]
    ordered(visitor, fault="repeat_token")
    ordered(visitor, fault="empty_token")
    answers = [visitor.bars("AAA", limit=100, page_token=token).json() for _ in range(3)]
    assert [answer["next_page_token"] == token for answer in answers] == [True, False, False]
    assert answers[1]["next_page_token"] == ""


def test_a_page_begins_with_the_whole_page_before_it(visitor: Any) -> None:
    token = visitor.bars("AAA", limit=100).json()["next_page_token"]
    ordered(visitor, fault="duplicate_page")
    assert volumes(visitor.bars("AAA", limit=100, page_token=token)) == list(range(1, 201))


def test_a_page_backwards_begins_with_the_whole_page_before_it(visitor: Any) -> None:
    token = visitor.bars("AAA", limit=100, sort="desc").json()["next_page_token"]
    ordered(visitor, fault="duplicate_page")
    found = volumes(visitor.bars("AAA", limit=100, sort="desc", page_token=token))
    assert found == list(range(250, 50, -1))


def test_rows_nobody_asked_for(visitor: Any) -> None:
    ordered(visitor, fault="foreign_symbol")
    ordered(visitor, fault="outside_window")
    assert set(visitor.bars("AAA").json()["bars"]) == {"AAA", "FOREIGN"}
    assert visitor.bars("AAA").json()["bars"]["AAA"][0]["t"] == "2023-12-25T05:00:00Z"  # before the window


def test_a_day_is_withheld_whole_or_half(visitor: Any) -> None:
    ordered(visitor, fault="partial_session")
    ordered(visitor, fault="missing_session")
    assert volumes(visitor.bars("AAA")) == list(range(1, 126))
    assert visitor.bars("AAA").json()["bars"] == {}
    assert volumes(visitor.bars("AAA")) == list(range(1, 251))


def test_the_minute_that_still_runs_is_served_half_done(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, feed="iex", now=dt.datetime(2024, 11, 1, 14, 0, 30, tzinfo=dt.UTC), speed=0)
    ordered(visitor, fault="unfinished_minute")
    first, second = (visitor.bars("AAA").json()["bars"]["AAA"] for _ in range(2))
    assert (first[-1]["t"], first[-1]["v"]) == ("2024-11-01T14:00:00Z", 16)
    assert first[:-1] == second


def test_faults_of_rows_strike_the_path_of_one_symbol_too(visitor: Any) -> None:
    ordered(visitor, fault="null_symbol")
    asked = {"timeframe": "1Min", "start": "2024-01-01", "feed": "iex"}
    assert visitor.get("/v2/stocks/AAA/bars", **asked).json()["bars"] is None
    ordered(visitor, fault="nan", share=1.0)
    assert '"h":NaN' in visitor.get("/v2/stocks/AAA/bars", **asked).text


def test_every_fault_has_a_line_in_the_page() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")
    assert [fault for fault in Fault if f"| `{fault.value}` | {fault.description} |" not in page] == []
