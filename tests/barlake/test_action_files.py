from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from barlake.action_files import ParsedActions, read_actions
from barlake.errors import InvalidInputError, NotFoundError

SIMPLE = "symbol,ex_date,kind,ratio,cash_usd,close_before,source,id,details"
FACTORS = "symbol,ex_date,type,cash_per_share,split_new_per_old,ref_close_before,source,note"


def parsed(tmp_path: Path, *lines: str, source: str | None = None) -> ParsedActions:
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_actions(path, source=source)


def test_a_row_of_the_simple_form_is_a_statement(tmp_path: Path) -> None:
    found = parsed(tmp_path, SIMPLE, "aapl,2014-06-09,split,7:1,,645.57,issuer,,seven for one")
    assert found.bad == []
    assert found.statements.row(0, named=True) == {
        "source": "issuer", "action_id": "AAPL/2014-06-09/split", "symbol": "AAPL", "ex_date": dt.date(2014, 6, 9),
        "kind": "split", "ratio": 7.0, "cash_usd": None, "close_before": 645.57, "implied": False,
        "details": "seven for one",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "ratio"), [("4:1", 4.0), ("1 : 4", 0.25), ("2002:1000", 2.002), ("0.2496", 0.2496), ("1.5", 1.5)]
)
def test_a_stated_ratio_is_taken_as_it_stands(tmp_path: Path, text: str, ratio: float) -> None:
    found = parsed(tmp_path, "symbol,ex_date,kind,ratio,cash_usd", f"X,2020-01-02,split,{text},")
    assert found.statements["ratio"].to_list() == [ratio]
    assert found.statements["source"].to_list() == ["mine.csv"]


def test_a_row_of_a_factor_file_is_rounded_to_the_ratio_it_stands_for_and_marked_as_implied(tmp_path: Path) -> None:
    found = parsed(
        tmp_path,
        FACTORS,
        "AAPL,2014-06-09,split,,6.999997,645.57,factors,",
        "AAPL,2014-08-07,cash_dividend,0.47,,94.97,factors,amount implied: by the price factors",
        "AAPL,2014-11-06,cash_dividend,0.47,,,issuer,table of the issuer",
    )
    assert found.statements.select("kind", "ratio", "cash_usd", "close_before", "implied").rows() == [
        ("split", 7.0, None, 645.57, True),
        ("dividend", None, 0.47, 94.97, True),
        ("dividend", None, 0.47, None, False),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("SPY,2024-13-01,dividend,,1,,,,", "'2024-13-01' is not on the calendar"),
        ("SPY,20240101,dividend,,1,,,,", "write it as 2024-06-10"),
        (",2024-01-02,dividend,,1,,,,", "symbol is empty"),
        ("S PY,2024-01-02,dividend,,1,,,,", "is not a symbol"),
        ("SPY,2024-01-02,gift,,1,,,,", "kind 'gift' is not a corporate action"),
        ("SPY,2024-01-02,dividend,,,,,,", "needs cash_usd"),
        ("SPY,2024-01-02,dividend,,one,,,,", "cash_usd 'one' is not a number"),
        ("SPY,2024-01-02,dividend,,-1,,,,", "cash_usd -1.0 must be a number above 0"),
        ("SPY,2024-01-02,dividend,,nan,,,,", "cash_usd nan must be a number above 0"),
        ("SPY,2024-01-02,dividend,,10,10,,,", "is not below close_before"),
        ("SPY,2024-01-02,split,,,,,,", "ratio None makes no split"),
        ("SPY,2024-01-02,split,1:1,,,,,", "ratio 1.0 makes no split"),
        ("SPY,2024-01-02,split,0:4,,,,,", "two numbers above 0"),
        ("SPY,2024-01-02,split,inf,,,,,", "ratio inf must be a number above 0"),
        ("SPY,2024-01-02,split,4/1,,,,,", "ratio '4/1' is not a number"),
        ("SPY,2024-01-02,split,4:1,,,,,,more", "more cells than the header"),
        (f"SPY,2024-01-02,split,4:1,,,{'s' * 161},,", "must have 1 to 160 letters"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_the_others_are_read(tmp_path: Path, row: str, reason: str) -> None:
    found = parsed(tmp_path, SIMPLE, "SPY,2024-03-15,dividend,,1.5,,,,", row)
    assert [bad.line for bad in found.bad] == [3]
    assert reason in found.bad[0].reason
    assert found.statements.height == 1


def test_the_same_statement_twice_is_one(tmp_path: Path) -> None:
    row = "SPY,2024-03-15,dividend,,1.5,,,,"
    found = parsed(tmp_path, SIMPLE, row, row)
    assert (found.statements.height, found.bad) == (1, [])


def test_two_amounts_of_one_source_on_one_date_need_names_of_their_own(tmp_path: Path) -> None:
    rows = ["SPY,2024-03-15,dividend,,1.5,,s,{},", "SPY,2024-03-15,dividend,,0.3,,s,{},"]
    refused = parsed(tmp_path, SIMPLE, *(row.format("") for row in rows))
    assert "give each an id" in refused.bad[0].reason
    named = parsed(tmp_path, SIMPLE, rows[0].format("regular"), rows[1].format("special"))
    assert named.statements["action_id"].to_list() == ["regular", "special"]


def test_a_source_may_be_named_for_all_rows_that_tell_none(tmp_path: Path) -> None:
    rows = ["SPY,2024-03-15,dividend,,1.5,,,,", "SPY,2024-06-21,dividend,,1.5,,issuer,,"]
    assert parsed(tmp_path, SIMPLE, *rows, source="desk").statements["source"].to_list() == ["desk", "issuer"]


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="has no column ex_date, cash_usd"):
        parsed(tmp_path, "symbol,kind,ratio")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xfe\x00symbol")
    with pytest.raises(InvalidInputError, match="is no CSV file in UTF-8"):
        read_actions(path)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is no file"):
        read_actions(tmp_path / "a.csv")
