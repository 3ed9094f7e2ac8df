from __future__ import annotations

import datetime as dt
import itertools
import json
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests

from barlake.errors import InvalidInputError
from ingest_service.emulator.faults import Fault, FaultInjector

REAL_FAULTS = [fault for fault in Fault if fault is not Fault.NONE]
QUIET_FAULTS = {
    Fault.NAN,
    Fault.NULL_BARS,
    Fault.NULL_SYMBOL,
    Fault.MISSING_FIELD,
    Fault.EMPTY_TOKEN,
    Fault.FOREIGN_SYMBOL,
    Fault.OUTSIDE_WINDOW,
    Fault.MISSING_SESSION,
    Fault.PARTIAL_SESSION,
}
"""Those that a client must notice by itself: the answer is a good one by its status and its form."""

LOUD_FAULTS = [fault for fault in REAL_FAULTS if fault not in QUIET_FAULTS]


def injector(*faults: Fault, seed: int = 0, period: int = 3) -> FaultInjector:
    return FaultInjector(faults, period=period, seed=seed, missing_share=0.05)


def faulted(visitor: Any, **parameters: object) -> requests.Response:
    """The first answer that was disturbed; every page is asked once."""
    for start in range(1, 29):
        answer: requests.Response = visitor.bars("AAA", start=f"2024-10-{start:02}", **parameters)
        if visitor.log()[-1]["fault"]:
            return answer
    raise AssertionError("no request was disturbed")


def patient_read(visitor: Any, symbols: str) -> dict[tuple[str, str], int]:
    """What a client that tries each page five times and keeps rows by key ends with."""
    found: dict[tuple[str, str], int] = {}
    token: dict[str, str] = {}
    while True:
        page = patient_page(visitor, symbols, token)
        for symbol, rows in page["bars"].items():
            found |= {(symbol, row["t"]): row["v"] for row in rows}
        if page["next_page_token"] is None:
            return found
        token = {"page_token": page["next_page_token"]}


def patient_page(visitor: Any, symbols: str, token: dict[str, str]) -> dict[str, Any]:
    for _attempt in range(5):
        try:
            answer = visitor.bars(symbols, limit=40, timeout=0.5, **token)
            if answer.status_code == 200:
                page: dict[str, Any] = answer.json()
                return page
        except requests.RequestException:
            continue
    raise AssertionError("five attempts were not enough")


@pytest.mark.parametrize("faults", [*([fault] for fault in LOUD_FAULTS), LOUD_FAULTS], ids=str)
def test_a_patient_client_ends_with_every_row_under_every_loud_fault(
    emulate: Any, folder: Path, faults: list[Fault]
) -> None:
    visitor = emulate(bars=folder, faults=tuple(faults), slow_seconds=0.05, hang_seconds=30)
    found = patient_read(visitor, "AAA,BBB")
    if Fault.MISSING_MINUTES in faults:
        assert len(found) < 380
        found |= patient_read(visitor, "AAA,BBB")
    assert sorted(found.values()) == sorted([*range(1, 251), *range(1, 131)])
    if faults != [Fault.MISSING_MINUTES]:
        assert any(entry["fault"] for entry in visitor.log())


def test_rate_limit_is_a_429_with_a_reset_one_second_ahead(emulate: Any, folder: Path) -> None:
    answer = faulted(emulate(bars=folder, faults=(Fault.RATE_LIMIT,)))
    assert answer.status_code == 429
    date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert 0 <= int(answer.headers["X-RateLimit-Reset"]) - date <= 2
    assert answer.headers["X-RateLimit-Remaining"] == "0"


def test_server_errors_are_json_and_html_in_turn(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, faults=(Fault.SERVER_ERROR,))
    json_error, html_error = faulted(visitor), faulted(visitor, limit=7)
    assert (json_error.status_code, html_error.status_code) == (500, 500)
    assert json_error.json()["message"] == "internal server error occurred"
    with pytest.raises(requests.exceptions.JSONDecodeError):
        html_error.json()


def test_truncated_json_has_a_content_length_that_fits(emulate: Any, folder: Path) -> None:
    answer = faulted(emulate(bars=folder, faults=(Fault.TRUNCATED_JSON,), gzip_level=0))
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content)


def test_duplicate_border_repeats_the_last_row_of_the_page_before(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, faults=(Fault.DUPLICATE_BORDER,))
    first = visitor.bars("AAA,BBB", limit=250).json()
    answers = [visitor.bars("AAA,BBB", limit=size, page_token=first["next_page_token"]).json() for size in range(1, 9)]
    disturbed = [page for page in answers if "AAA" in page["bars"]]
    assert disturbed
    for page in disturbed:
        assert page["bars"]["AAA"] == first["bars"]["AAA"][-1:]
        assert next(iter(page["bars"])) == "AAA"


def test_out_of_order_shuffles_a_page_and_loses_nothing(emulate: Any, folder: Path) -> None:
    volumes = [row["v"] for row in faulted(emulate(bars=folder, faults=(Fault.OUT_OF_ORDER,))).json()["bars"]["AAA"]]
    assert volumes != sorted(volumes)
    assert sorted(volumes) == list(range(1, 251))


def test_slow_answers_late_and_right(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, faults=(Fault.SLOW,), slow_seconds=0.4)
    answer = faulted(visitor)
    assert answer.elapsed >= dt.timedelta(seconds=0.4)
    assert len(answer.json()["bars"]["AAA"]) == 250


def test_missing_minutes_come_the_second_time(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, faults=(Fault.MISSING_MINUTES,), missing_share=0.1)
    first, second = (visitor.bars("AAA", limit=limit).json()["bars"]["AAA"] for limit in (900, 901))
    assert 5 <= 250 - len(first) <= 60
    assert len(second) == 250


def test_hang_is_ended_by_the_timeout_of_the_client(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, faults=(Fault.HANG,), hang_seconds=60)
    started = time.monotonic()
    with pytest.raises(requests.exceptions.ReadTimeout):
        faulted(visitor, timeout=0.5)
    assert time.monotonic() - started < 10


def test_hang_ends_with_504_for_a_client_without_a_timeout(emulate: Any, folder: Path) -> None:
    assert faulted(emulate(bars=folder, faults=(Fault.HANG,), hang_seconds=0.1)).status_code == 504


def test_drop_closes_the_connection_in_the_middle_of_the_body(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, faults=(Fault.DROP,), gzip_level=0)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        faulted(visitor)
    assert visitor.log()[-1]["fault"] == "drop"


def test_faults_can_be_switched_while_it_runs(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder)
    order = {"faults": ["server_error"], "period": 2, "seed": 1}
    assert visitor.control("/_emu/faults", order) == order | {"rules": []}
    assert faulted(visitor).status_code == 500
    visitor.control("/_emu/faults", {"faults": ["none"]})
    visitor.control("/_emu/reset")
    assert [visitor.bars("AAA", limit=n).status_code for n in range(1, 9)] == [200] * 8


def test_calendar_and_clock_are_never_disturbed(emulate: Any) -> None:
    visitor = emulate(faults=(Fault.SERVER_ERROR,), fault_period=2)
    assert {visitor.get("/v2/clock").status_code for _ in range(8)} == {200}


@pytest.mark.parametrize("seed", range(5))
def test_one_request_in_each_period_is_disturbed(seed: int) -> None:
    drawn = injector(Fault.SLOW, seed=seed)
    struck = [drawn.next(f"page {n}", continues=True) is not None for n in range(300)]
    assert [sum(struck[n : n + 3]) for n in range(0, 300, 3)] == [1] * 100


def test_the_places_of_faults_depend_on_the_seed_alone() -> None:
    def places(seed: int) -> list[Fault | None]:
        drawn = injector(Fault.SLOW, Fault.DROP, seed=seed)
        return [drawn.next(f"page {n}", continues=True) for n in range(60)]

    assert places(1) == places(1)
    assert places(1) != places(2)


def test_kinds_of_faults_take_turns() -> None:
    drawn = injector(Fault.SLOW, Fault.DROP)
    struck = [fault for n in range(60) if (fault := drawn.next(f"page {n}", continues=True))]
    assert struck == [Fault.SLOW, Fault.DROP] * 10


@pytest.mark.parametrize("seed", range(5))
def test_the_same_page_is_never_disturbed_twice_in_a_row(seed: int) -> None:
    drawn = injector(Fault.SERVER_ERROR, seed=seed, period=2)
    struck = [drawn.next("one page", continues=False) is not None for _ in range(200)]
    assert any(struck)
    assert not any(one and two for one, two in itertools.pairwise(struck))


def test_a_withheld_minute_is_withheld_once_and_the_choice_is_the_same_again() -> None:
    start = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    rows = pl.DataFrame({"timestamp": [start + dt.timedelta(minutes=n) for n in range(4000)]})
    one, other = injector(Fault.MISSING_MINUTES), injector(Fault.MISSING_MINUTES)
    first = one.withhold("AAA", rows)
    assert 0.03 < 1 - first.height / rows.height < 0.07
    assert one.withhold("AAA", rows).height == rows.height
    assert other.withhold("AAA", rows).equals(first)
    assert not one.withhold("BBB", rows).equals(first)


def test_every_fault_says_what_a_client_sees() -> None:
    assert all(fault.description for fault in Fault)
    assert len({fault.description for fault in Fault}) == len(Fault)


def test_a_mistyped_fault_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidInputError, match="Did you mean 'truncated_json'"):
        Fault.parse("truncate_json")
