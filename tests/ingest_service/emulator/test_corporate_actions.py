from __future__ import annotations

import base64
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.requests import CorporateActionsRequest

from barlake.errors import InvalidInputError
from ingest_service.emulator.corporate_actions import ActionBook
from ingest_service.emulator.query import RefusedError

NOW = dt.datetime(2024, 6, 21, 15, tzinfo=dt.UTC)
ROWS = """symbol,ex_date,kind,ratio,cash_usd,source
SPY,2024-03-15,dividend,,1.594937,issuer
SPY,2024-06-21,dividend,,1.759024,issuer
SPY,2024-06-21,dividend,,1.76,another
NVDA,2024-06-10,split,10:1,,issuer
VXX,2024-07-24,split,1:4,,issuer
ACME,2024-05-01,stock_dividend,1.05,,issuer
ACME,2024-05-02,name_change,,,issuer
"""
ALL = {"start": "2024-01-01", "end": "2024-12-31"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("actions") / "actions.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def book(file: Path) -> ActionBook:
    return ActionBook(file)


def answered(book: ActionBook, **parameters: str) -> dict[str, Any]:
    groups: dict[str, Any] = book.answer(ALL | parameters, now=NOW)["corporate_actions"]
    return groups


def test_records_stand_in_groups_by_type(book: ActionBook) -> None:
    groups = answered(book)
    assert {group: len(records) for group, records in groups.items()} == {
        "cash_dividends": 2,
        "stock_dividends": 1,
        "forward_splits": 1,
        "reverse_splits": 1,
    }
    (split,), (reverse,), (shares,) = (groups[name] for name in ("forward_splits", "reverse_splits", "stock_dividends"))
    assert (split["symbol"], split["new_rate"], split["old_rate"], split["ex_date"]) == ("NVDA", 10, 1, "2024-06-10")
    assert (reverse["new_rate"], reverse["old_rate"]) == (1, 4)
    assert shares["rate"] == 0.05


def test_today_is_asked_for_unless_dates_are_given(book: ActionBook) -> None:
    (dividend,) = book.answer({}, now=NOW)["corporate_actions"]["cash_dividends"]
    assert dividend["ex_date"] == "2024-06-21"


def test_both_ends_of_the_dates_are_inclusive(book: ActionBook) -> None:
    groups = answered(book, start="2024-03-15", end="2024-06-10")
    assert [record["ex_date"] for records in groups.values() for record in records] == [
        "2024-03-15",
        "2024-05-01",
        "2024-06-10",
    ]


def test_symbols_and_types_narrow_the_answer(book: ActionBook) -> None:
    assert set(answered(book, symbols="SPY,VXX")) == {"cash_dividends", "reverse_splits"}
    assert set(answered(book, types="forward_split,reverse_split")) == {"forward_splits", "reverse_splits"}
    assert answered(book, symbols="IWM") == {}


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_pages_of_any_size_hold_everything_once(book: ActionBook, sort: str) -> None:
    asked = ALL | {"limit": "2", "sort": sort}
    seen, tokens = [], []
    while True:
        page = book.answer(asked, now=NOW)
        seen += [record["id"] for records in page["corporate_actions"].values() for record in records]
        if page["next_page_token"] is None:
            break
        tokens.append(base64.b64decode(page["next_page_token"]).decode())
        asked |= {"page_token": page["next_page_token"]}
    assert len(seen) == len(set(seen)) == 5
    assert len(tokens) == 2
    assert all(token.count("|") == 2 for token in tokens)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"limit": "1001"}, "invalid limit: 1001"),
        ({"limit": "0"}, "invalid limit: 0"),
        ({"start": "yesterday"}, "invalid start: yesterday"),
        ({"symbols": "spy"}, "invalid symbol: spy"),
        ({"page_token": "?"}, "invalid page_token"),
        ({"page_token": base64.b64encode(b"SPY|2024-03-15|gone").decode()}, "invalid page_token"),
        ({"start": "2024-02-01", "end": "2024-01-01"}, "end should not be before start"),
    ],
)
def test_a_wrong_request_is_refused(book: ActionBook, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(RefusedError) as refused:
        book.answer(ALL | parameters, now=NOW)
    assert refused.value.status == 400
    assert message in str(refused.value.body["message"])


def test_a_file_with_a_bad_row_is_not_served(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("symbol,ex_date,kind,ratio,cash_usd\nSPY,2024-03-15,split,,\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="line 2: ratio None makes no split"):
        ActionBook(path)


def test_the_real_client_gets_everything_only_without_its_own_limit(emulate: Any, file: Path) -> None:
    visitor = emulate(actions=file, now=NOW)
    client = CorporateActionsClient(
        visitor.config.key_id, visitor.config.secret_key, raw_data=True, url_override=visitor.url
    )
    client._session = visitor.session
    window = {"start": dt.date(2024, 1, 1), "end": dt.date(2024, 12, 31)}
    whole: Any = client.get_corporate_actions(CorporateActionsRequest(limit=None, **window))
    assert sum(len(records) for records in whole.values()) == 5 + 6  # those of the special symbols
    capped: Any = client.get_corporate_actions(CorporateActionsRequest(limit=2, **window))
    assert sum(len(records) for records in capped.values()) == 2


def test_an_emulator_without_a_file_has_no_actions_and_still_asks_for_the_key(emulate: Any) -> None:
    visitor = emulate(now=NOW)
    assert visitor.get("/v1/corporate-actions").json() == {"corporate_actions": {}, "next_page_token": None}
    assert visitor.get("/v1/corporate-actions", headers={}).status_code == 401
