from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from ingest_service.emulator import PAPER_FREE, PAPER_PLUS, Plan

NOW = dt.datetime(2024, 11, 1, 15, 0, 10, tzinfo=dt.UTC)
RECENT = "2024-11-01T14:58:00Z"


def status(visitor: Any, key_id: str, path: str = "/v2/stocks/bars", **parameters: object) -> int:
    asked: dict[str, object] = {"symbols": "AAA", "timeframe": "1Min", "start": "2024-11-01"}
    keys = visitor.keys | {"APCA-API-KEY-ID": key_id}
    return int(visitor.get(path, headers=keys, **(asked | parameters)).status_code)


def test_recent_sip_is_for_the_paid_plan(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, now=NOW, speed=0)
    assert status(visitor, PAPER_FREE, end=RECENT) == status(visitor, visitor.config.key_id, end=RECENT) == 403
    assert status(visitor, PAPER_PLUS, end=RECENT) == 200


def test_an_omitted_end_is_now_for_the_paid_plan(emulate: Any, folder: Path) -> None:
    page = emulate(bars=folder, now=NOW, speed=0, plan=Plan.PLUS).bars("AAA").json()
    assert page["bars"]["AAA"][-1]["t"] == "2024-11-01T14:59:00Z"


@pytest.mark.parametrize("path", ["/v2/stocks/bars/latest", "/v2/stocks/snapshots"])
def test_what_is_newest_needs_the_paid_plan_or_another_feed(emulate: Any, folder: Path, path: str) -> None:
    visitor = emulate(bars=folder, feed="sip,iex", now=NOW, speed=0)
    answer = visitor.get(path, symbols="AAA", feed="sip")
    assert (answer.status_code, answer.json()["code"]) == (403, 42210000)
    assert status(visitor, PAPER_PLUS, path, feed="sip") == 200
    assert status(visitor, PAPER_FREE, path, feed="iex") == 200


def test_the_paid_plan_has_fifty_times_the_budget(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, requests_per_window=2, now=NOW, speed=0)
    assert visitor.bars("AAA").headers["X-RateLimit-Limit"] == "2"
    keys = visitor.keys | {"APCA-API-KEY-ID": PAPER_PLUS}
    assert visitor.get("/v2/clock", headers=keys).headers["X-RateLimit-Limit"] == "100"


def test_a_wrong_key_may_be_401_as_well(emulate: Any, folder: Path) -> None:
    assert status(emulate(bars=folder, wrong_key_status=401), "unknown") == 401
    assert status(emulate(bars=folder), "unknown") == 403


def test_a_folder_may_be_served_under_several_feeds(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, feed="sip,iex")
    pages = [visitor.bars("AAA", feed=feed).json() for feed in ("sip", "iex")]
    assert pages[0] == pages[1]
    assert visitor.bars("AAA", feed="otc").status_code == 400
