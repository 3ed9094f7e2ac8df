from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

NOW = dt.datetime(2024, 12, 2, 15, tzinfo=dt.UTC)


@pytest.fixture
def visitor(emulate: Any) -> Any:
    return emulate(now=NOW, speed=0)


def rows(visitor: Any, symbol: str, start: str, end: str, **parameters: object) -> list[dict[str, Any]]:
    page = visitor.bars(symbol, start=start, end=end, limit=10_000, **parameters).json()
    found: list[dict[str, Any]] = page["bars"].get(symbol, [])
    return found


def regular(visitor: Any, symbol: str, **parameters: object) -> list[dict[str, Any]]:
    """The regular minutes of 2024-05-10, a Friday in summer."""
    return rows(visitor, symbol, "2024-05-10T13:30:00Z", "2024-05-10T19:59:00Z", **parameters)


def test_a_thin_symbol_trades_in_two_minutes_of_five(visitor: Any) -> None:
    assert 0.25 < len(regular(visitor, "THIN")) / 390 < 0.55


def test_a_halted_symbol_has_a_hole_every_day(visitor: Any) -> None:
    stamps = {row["t"] for row in regular(visitor, "HALT")}
    assert "2024-05-10T14:11:00Z" in stamps
    assert "2024-05-10T14:47:00Z" in stamps
    assert not [stamp for stamp in stamps if "2024-05-10T14:12" <= stamp < "2024-05-10T14:47"]
    page = visitor.bars("HALT", start="2024-05-10T14:10:00Z", limit=30).json()
    assert (len(page["bars"]["HALT"]), page["bars"]["HALT"][2]["t"]) == (30, "2024-05-10T14:47:00Z")


def test_a_split_halves_the_price_and_the_adjusted_price_does_not_move(visitor: Any) -> None:
    span = ("2024-05-10T13:30:00Z", "2024-05-13T19:59:00Z")
    raw, adjusted = (rows(visitor, "SPLT", *span, adjustment=terms) for terms in ("raw", "split"))
    before = [row for row in raw if row["t"] < "2024-05-11"][-1]
    after = next(row for row in raw if row["t"] > "2024-05-13")
    assert 1.8 < before["c"] / after["o"] < 2.2
    early = [row for row in adjusted if row["t"] < "2024-05-11"][-1]
    assert (early["c"], early["v"]) == (pytest.approx(before["c"] / 2), before["v"] * 2)
    assert adjusted[-1] == raw[-1]


def test_a_dividend_lowers_the_prices_before_it_and_no_volume(visitor: Any) -> None:
    raw, paid = (regular(visitor, "DIVD", adjustment=terms)[0] for terms in ("raw", "dividend"))
    last_before = rows(visitor, "DIVD", "2024-08-08T12:00:00Z", "2024-08-09T03:00:00Z")[-1]
    assert paid["c"] < raw["c"]
    assert paid["v"] == raw["v"]
    assert paid["c"] / raw["c"] == pytest.approx(
        (1 - 0.5 / last_before["c"]) * (1 - 0.5 / newest_close(visitor)), abs=2e-3
    )


def newest_close(visitor: Any) -> float:
    return float(rows(visitor, "DIVD", "2024-11-07T12:00:00Z", "2024-11-08T03:00:00Z")[-1]["c"])


def test_adjusted_history_changes_when_an_action_is_announced(visitor: Any) -> None:
    before = regular(visitor, "SYNA", adjustment="all")[0]
    order = {"reverse_splits": [{"symbol": "SYNA", "new_rate": 1, "old_rate": 4, "ex_date": "2024-06-03"}]}
    assert visitor.control("/_emu/actions", order) == {"announced": 1}
    after = regular(visitor, "SYNA", adjustment="all")[0]
    assert after["c"] == pytest.approx(before["c"] * 4)
    answered = visitor.get("/v1/corporate-actions", symbols="SYNA", start="2024-06-01", end="2024-06-30").json()
    assert answered["corporate_actions"]["reverse_splits"][0]["process_date"] == "2024-06-03"
    visitor.control("/_emu/reset")
    assert regular(visitor, "SYNA", adjustment="all")[0] == before


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"mergers": [{}]}, "group 'mergers' is not known"),
        ({"cash_dividends": [{"symbol": "SYNA"}]}, "lacks rate, ex_date"),
    ],
)
def test_an_action_that_lacks_something_is_refused(visitor: Any, wrong: dict[str, Any], complaint: str) -> None:
    answer = visitor.session.post(visitor.url + "/_emu/actions", json=wrong, timeout=30)
    assert answer.status_code == 422
    assert complaint in answer.json()["message"]


def test_a_renamed_company_has_its_past_under_its_new_name(visitor: Any) -> None:
    span = ("2024-05-31T13:30:00Z", "2024-06-03T19:59:00Z")
    old, new = (rows(visitor, name, *span, asof="-") for name in ("OLDN", "NEWN"))
    assert old[-1]["t"] < "2024-06-02" < new[0]["t"]
    assert rows(visitor, "NEWN", *span) == old + new
    assert rows(visitor, "NEWN", *span, sort="desc") == (old + new)[::-1]
    assert rows(visitor, "OLDN", *span, asof="2024-05-01") == old + new
    assert rows(visitor, "OLDN", *span) == old


def test_a_rename_is_known_from_the_day_after_it(visitor: Any) -> None:
    span = ("2024-05-31T13:30:00Z", "2024-05-31T19:59:00Z")
    assert rows(visitor, "NEWN", *span, asof="2024-06-03") == []
    assert len(rows(visitor, "NEWN", *span, asof="2024-06-04")) > 300


def test_renamed_and_adjusted_bars_page_like_any_other(visitor: Any) -> None:
    asked: dict[str, object] = {"start": "2024-05-31T13:30:00Z", "end": "2024-06-03T19:59:00Z", "adjustment": "all"}
    whole = visitor.bars("NEWN", limit=10_000, **asked).json()["bars"]["NEWN"]
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = visitor.bars("NEWN", limit=100, **asked, **token).json()
        found += page["bars"]["NEWN"]
        if page["next_page_token"] is None:
            break
        token = {"page_token": page["next_page_token"]}
    assert found == whole


def test_some_symbols_begin_and_end_and_one_has_nothing(visitor: Any) -> None:
    assert rows(visitor, "DEAD", "2024-03-28T20:00:00Z", "2024-04-02T20:00:00Z")[-1]["t"] < "2024-03-29T04"
    assert rows(visitor, "DEAD", "2024-03-28T14:00:00Z", "2024-03-28T15:00:00Z")
    assert rows(visitor, "IPOX", "2024-02-14T14:30:00Z", "2024-02-14T21:00:00Z") == []
    assert rows(visitor, "IPOX", "2024-02-15T14:30:00Z", "2024-02-15T21:00:00Z")
    assert regular(visitor, "NONE") == []


def test_what_is_listed_is_told_and_what_was_is_inactive(visitor: Any) -> None:
    stocks = visitor.get("/v2/assets", asset_class="us_equity").json()
    status = {asset["symbol"]: asset["status"] for asset in stocks}
    assert (status["SYNA"], status["NONE"], status["DEAD"], status["OLDN"]) == (
        "active",
        "active",
        "inactive",
        "inactive",
    )
    coins = visitor.get("/v2/assets", asset_class="crypto", status="active").json()
    assert "BTC/USD" in {asset["symbol"] for asset in coins}
