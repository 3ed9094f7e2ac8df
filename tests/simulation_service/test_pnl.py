from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from barlake import Lake
from barlake.errors import InvalidInputError, NotFoundError
from barlake.testing import temporary_lake
from simulation_service.pnl import profit_and_loss

# Regular open and close by session; each session also has a bar before and one after hours.
PRICES = {
    "2024-06-03": (100.00, 101.10),
    "2024-06-04": (102.00, 104.20),
    "2024-06-05": (26.00, 26.05),
    "2024-06-06": (25.50, 25.00),
    "2024-06-07": (25.01, 24.99),
}
ACTIONS = """symbol,ex_date,kind,ratio,cash_usd
ABC,2024-06-03,dividend,,9.99
ABC,2024-06-05,split,4,
ABC,2024-06-05,dividend,,0.50
ABC,2024-06-06,spin_off,,
ABC,2024-06-07,dividend,,0.25
"""


def bars() -> pl.DataFrame:
    rows = []
    for session, (first, last) in PRICES.items():
        for clock, open_, close in (
            ("13:00", 1.0, 1.0),
            ("13:30", first, 77.0),
            ("19:59", 88.0, last),
            ("20:30", 2.0, 2.0),
        ):
            stamp = dt.datetime.fromisoformat(f"{session}T{clock}:00Z")
            rows.append((stamp, open_, max(open_, close), min(open_, close), close, 100, 10, close))
    names = ["timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap"]
    return pl.DataFrame(rows, schema=names, orient="row").cast({"timestamp": pl.Datetime("us", "UTC")})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """ABC with a split of four for one, dividends and a spin-off; XYZ with the same bars and no known action."""
    path: Path = tmp_path_factory.mktemp("actions") / "actions.csv"
    path.write_text(ACTIONS)
    with temporary_lake() as lake:
        for symbol in ("ABC", "XYZ"):
            lake.write_bars(bars(), feed="sip", symbol=symbol)
        report, bad = lake.import_actions(path)
        assert (report.inserted, bad) == (5, [])
        yield lake


def test_a_long_position_makes_the_difference_of_two_closes(lake: Lake) -> None:
    found = profit_and_loss(lake, "XYZ", entry="2024-06-03", exit="2024-06-04", quantity=100)
    assert found.as_dict() == {
        "symbol": "XYZ",
        "feed": "sip",
        "synthetic": False,
        "side": "long",
        "quantity": "100",
        "entry": {"session": "2024-06-03", "instant": "2024-06-03T20:00:00+00:00", "price_usd": "101.10"},
        "exit": {"session": "2024-06-04", "instant": "2024-06-04T20:00:00+00:00", "price_usd": "104.20"},
        "invested_usd": "10110.00",
        "shares_at_exit": "100",
        "price_profit_usd": "310.00",
        "dividends_usd": "0.00",
        "profit_usd": "310.00",
        "simple_return": float(Fraction(310, 10110)),
        "actions": [],
        "actions_known": False,
    }


def test_a_short_position_makes_the_same_with_the_other_sign(lake: Lake) -> None:
    both = [
        profit_and_loss(lake, "ABC", entry="2024-06-03", exit="2024-06-07", quantity="12.5", short=short)
        for short in (False, True)
    ]
    assert both[0].profit_usd == -both[1].profit_usd
    assert both[0].dividends_usd == -both[1].dividends_usd > 0
    assert both[0].simple_return == -both[1].simple_return


def test_a_split_and_the_dividends_in_between_are_counted(lake: Lake) -> None:
    # 10 at 101.10; on 5 June 0.50 for each of the 10, then they are 40; on 7 June 0.25 for each of the 40; 40 at 24.99.
    found = profit_and_loss(lake, "ABC", entry="2024-06-03", exit="2024-06-07", quantity=10)
    facts = found.as_dict()
    assert facts["shares_at_exit"] == "40"
    assert facts["price_profit_usd"] == "-11.40"
    assert facts["dividends_usd"] == "15.00"
    assert facts["profit_usd"] == "3.60"
    assert facts["simple_return"] == pytest.approx(3.60 / 1011)
    assert facts["actions"] == [
        {"ex_date": "2024-06-05", "kind": "dividend", "ratio": None, "cash_usd": "5.00", "counts": True},
        {"ex_date": "2024-06-05", "kind": "split", "ratio": "4", "cash_usd": None, "counts": True},
        {"ex_date": "2024-06-06", "kind": "spin_off", "ratio": None, "cash_usd": None, "counts": False},
        {"ex_date": "2024-06-07", "kind": "dividend", "ratio": None, "cash_usd": "10.00", "counts": True},
    ]


def test_who_buys_on_the_ex_date_gets_no_dividend_and_who_sells_on_it_does(lake: Lake) -> None:
    bought = profit_and_loss(lake, "ABC", entry="2024-06-07", exit="2024-06-07", entry_at="open")
    sold = profit_and_loss(lake, "ABC", entry="2024-06-06", exit="2024-06-07", exit_at="open")
    assert bought.as_dict()["profit_usd"] == "-0.02"
    assert sold.as_dict()["profit_usd"] == "0.26"
    assert (bought.dividends_usd, sold.dividends_usd) == (0, Fraction(1, 4))


def test_an_instant_takes_the_last_close_that_was_known(lake: Lake) -> None:
    found = profit_and_loss(lake, "XYZ", entry="2024-06-03T13:31:00Z", exit="2024-06-03T20:30:59Z")
    assert (str(found.entry.price_usd), str(found.exit.price_usd)) == ("77.0", "101.1")
    later = profit_and_loss(lake, "XYZ", entry="2024-06-03T13:30:59Z", exit="2024-06-03T20:31:00Z")
    assert (str(later.entry.price_usd), str(later.exit.price_usd)) == ("1.0", "2.0")


def test_a_reverse_split_of_three_old_for_one_new_is_exact(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "reverse.csv"
    path.write_text(f"symbol,ex_date,kind,ratio,cash_usd\nREV,2024-06-04,split,{1 / 3!r},\n")
    lake.write_bars(bars(), feed="sip", symbol="REV")
    lake.import_actions(path)
    whole = profit_and_loss(lake, "REV", entry="2024-06-03", exit="2024-06-04", quantity=300)
    assert whole.shares_at_exit == 100
    assert whole.as_dict()["profit_usd"] == "-19910.00"
    part = profit_and_loss(lake, "REV", entry="2024-06-03", exit="2024-06-04", quantity=100)
    assert part.shares_at_exit == Fraction(100, 3)
    assert part.as_dict()["profit_usd"] == "-6636.66666667"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"quantity": 0}, "quantity 0 is not a number of shares above 0"),
        ({"quantity": "many"}, "quantity 'many' is not a number"),
        ({"entry": "2024-06-02"}, "2024-06-02 is not a session: the nearest ones are 2024-05-31 and 2024-06-03"),
        ({"entry": None}, "entry is missing"),
        ({"exit": "2024-06-03"}, "is not after the entry's"),
        ({"exit": "yesterday"}, "exit 'yesterday' is not a date"),
        ({"exit_at": "noon"}, "price of a session 'noon' is not known"),
    ],
)
def test_what_makes_no_position_is_refused(lake: Lake, changed: dict[str, object], said: str) -> None:
    given: dict[str, object] = {"entry": "2024-06-03", "exit": "2024-06-04"} | changed
    with pytest.raises(InvalidInputError, match=said):
        profit_and_loss(lake, "ABC", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("2024-05-31", "no regular bar of 'ABC' is held for that session; feed 'sip' holds 2024-06-03 to 2024-06-07"),
        ("2024-06-03T12:00:00Z", "no bar of 'ABC' had closed by then that session"),
    ],
)
def test_a_moment_without_bars_is_told_with_what_is_held(lake: Lake, entry: str, said: str) -> None:
    with pytest.raises(NotFoundError, match=said):
        profit_and_loss(lake, "ABC", entry=entry, exit="2024-06-04")
