"""The page on a symbol's quality: one cell a weekday, nothing from elsewhere, made-up bars labelled."""

from __future__ import annotations

import datetime as dt
import re

import polars as pl
import pytest

from barlake.checks import FINDINGS
from barlake.quality_report import MOST_ROWS, calendar_days, render
from barlake.sessions import Calendar

NOW = dt.datetime(2024, 12, 2, 12, tzinfo=dt.UTC)
FIRST, END = dt.date(2024, 11, 25), dt.date(2024, 12, 3)
FULL, SHORT, HOLIDAY, HALF = (dt.date(2024, 11, day) for day in (25, 26, 28, 29))
ABSENT, TODAY = dt.date(2024, 11, 27), dt.date(2024, 12, 2)
SESSIONS = Calendar.default().frame

COVERAGE = pl.DataFrame({"session": [FULL, SHORT, HALF], "regular_bars": [390, 195, 210]})
GAPS = pl.DataFrame(
    {
        "session": [SHORT, ABSENT, TODAY],
        "class": ["unconfirmed", "gap", "not_yet"],
        "evidence": ["answered 1 time(s)", "no answer on record", "no answer on record"],
    }
)
MISSING_SCHEMA = {
    "session": pl.Date(), "first": pl.Datetime("us", "UTC"), "last": pl.Datetime("us", "UTC"),
    "minutes": pl.Int64(), "class": pl.String(), "evidence": pl.String(),
}  # fmt: skip


def finding(session: dt.date | None, severity: str = "warning", detail: str = "a <detail>") -> tuple[object, ...]:
    stamp = None if session is None else dt.datetime.combine(session, dt.time(15), tzinfo=dt.UTC)
    return ("sip", "SPY", session, stamp, "spike", severity, 1.0, 2.0, detail)


def findings(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=FINDINGS, orient="row")


def missing(*rows: tuple[dt.date, int, str, str]) -> pl.DataFrame:
    stamps = [dt.datetime.combine(day, dt.time(15), tzinfo=dt.UTC) for day, *_ in rows]
    full = [(day, stamp, stamp, *rest) for (day, *rest), stamp in zip(rows, stamps, strict=True)]
    return pl.DataFrame(full, schema=MISSING_SCHEMA, orient="row")


def days(found: pl.DataFrame | None = None, start: dt.date = FIRST, end: dt.date = END) -> pl.DataFrame:
    return calendar_days(COVERAGE, GAPS, findings() if found is None else found, SESSIONS, start, end)


def page(found: pl.DataFrame | None = None, runs: pl.DataFrame | None = None, feed: str = "sip") -> str:
    return render(
        days(found),
        missing((ABSENT, 390, "gap", "no answer on record")) if runs is None else runs,
        findings() if found is None else found,
        feed=feed,
        symbol="SPY",
        made_at=NOW,
    )


def cells(html: str) -> dict[str, tuple[list[str], str]]:
    """Styles and tip of each cell of the heat map, by date."""
    found = re.findall(r'<i class="([^"]*)" style="[^"]*" role="img" tabindex="-1" aria-label="([^"]*)"', html)
    return {tip.split("\n")[0][4:]: (style.split(), tip) for style, tip in found}


def test_every_weekday_is_one_row_and_a_half_day_is_full_with_210_minutes() -> None:
    columns = ("session", "is_session", "expected", "held", "share", "class")
    assert days().select(columns).rows() == [
        (FULL, True, 390, 390, 1.0, None),
        (SHORT, True, 390, 195, 0.5, "unconfirmed"),
        (ABSENT, True, 390, 0, 0.0, "gap"),
        (HOLIDAY, False, None, 0, None, None),
        (HALF, True, 210, 210, 1.0, None),
        (TODAY, True, 390, 0, 0.0, "not_yet"),
    ]


def test_minutes_of_a_market_wide_halt_are_not_expected() -> None:
    day = dt.date(2020, 3, 9)
    held = pl.DataFrame({"session": [day], "regular_bars": [376]})
    row = calendar_days(held, GAPS.clear(), findings(), SESSIONS, day, dt.date(2020, 3, 10)).row(0, named=True)
    assert (row["expected"], row["share"], row["halted"]) == (376, 1.0, 14)


def test_the_worst_severity_of_a_session_is_shown() -> None:
    found = findings(finding(FULL, "info"), finding(FULL, "error"), finding(FULL, "warning"), finding(None))
    assert days(found).filter(pl.col("session") == FULL).select("findings", "severity").rows() == [(3, "error")]


def test_a_cell_says_what_it_shows() -> None:
    found = cells(page(findings(finding(FULL), finding(HALF, "info"))))
    assert {day: styles for day, (styles, _) in found.items()} == {
        "2024-11-25": ["full", "found"],
        "2024-11-26": ["some"],
        "2024-11-27": ["none"],
        "2024-11-28": ["closed"],
        "2024-11-29": ["full", "half", "noted"],
        "2024-12-02": ["later"],
    }
    assert found["2024-11-26"][1].split("\n") == [
        "Tue 2024-11-26",
        "195 of 390 regular minutes, 50\N{NO-BREAK SPACE}%",
        "unconfirmed: answered 1 time(s)",
    ]


def test_one_absent_minute_is_not_shown_as_all_present() -> None:
    almost = pl.DataFrame({"session": [FULL], "regular_bars": [389]})
    shown = calendar_days(almost, GAPS, findings(), SESSIONS, FULL, SHORT)
    html = render(shown, missing(), findings(), feed="sip", symbol="SPY", made_at=NOW)
    assert cells(html)["2024-11-25"][0] == ["most"]
    assert "99.7\N{NO-BREAK SPACE}%" in html


def test_made_up_bars_are_labelled_and_others_are_not() -> None:
    assert "synthetic bars: made up" in page(feed="synthetic")
    assert "made up" not in page()


def test_the_page_needs_nothing_but_itself_and_escapes_what_others_wrote() -> None:
    html = page(findings(finding(FULL, detail="<script>alert(1)</script>")))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not re.search(r"<(link|img|iframe)|@import|url\(", html)


def test_a_long_list_is_cut_and_the_cut_is_said() -> None:
    html = page(findings(*[finding(FULL, detail=f"number {n}.") for n in range(MOST_ROWS + 1)]))
    assert html.count("number ") == MOST_ROWS
    assert f"{MOST_ROWS} of {MOST_ROWS + 1}" in html


@pytest.mark.parametrize("frame", [days().clear(), days()])
def test_a_page_of_nothing_absent_and_nothing_found_says_so(frame: pl.DataFrame) -> None:
    html = render(frame, missing(), findings(), feed="sip", symbol="SPY", made_at=NOW)
    assert "No minute is absent." in html
    assert "Nothing was found" in html


def test_closed_minutes_are_counted_but_not_listed() -> None:
    html = page(runs=missing((HOLIDAY, 390, "closed", "no session of XNYS on this date")))
    assert "<b>closed</b>" in html
    assert "no session of XNYS on this date" not in html
