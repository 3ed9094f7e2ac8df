"""One HTML page on the quality of one symbol's bars that needs nothing but itself: no script, no request."""

from __future__ import annotations

import calendar
import datetime as dt
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2
import polars as pl

from barlake.checks import CheckName, Severity
from barlake.coverage import GapClass
from barlake.durable import storage_errors
from barlake.halts import MARKET_HALTS, halted_minutes
from barlake.keys import SYNTHETIC_FEED, is_always_open
from barlake.ranges import Boundary, time_range
from barlake.sessions import session_of

if TYPE_CHECKING:
    from barlake.lake import Lake

__all__ = [
    "CHECK_MEANINGS",
    "CLASS_MEANINGS",
    "MOST_ROWS",
    "QualityReport",
    "calendar_days",
    "make_report",
    "render",
    "report_path",
]

MOST_ROWS = 200
"""Longer lists are cut on the page, and the cut is said."""

_TEMPLATE = "quality_report.html.j2"
_FULL, _NONE = "full", "none"
_LEVELS = ((0.9999, _FULL), (0.95, "most"), (0.75, "many"), (0.4, "some"), (1e-9, "few"))
_LAST_WEEKDAY = 5

CLASS_MEANINGS = {
    GapClass.GAP: "expected, and no answer on record: ingest it",
    GapClass.UNCONFIRMED: "absent, and no second answer confirmed it: ingest again",
    GapClass.NO_TRADE: "a source answered to its last page and had nothing more",
    GapClass.HALT: "trading was halted everywhere",
    GapClass.CLOSED: "the exchange was closed: holiday or early close",
    GapClass.NOT_YET: "the session has not ended, or its bars are not given out yet",
}
CHECK_MEANINGS = {
    CheckName.STALE_RUN: "bars repeat themselves",
    CheckName.SPIKE: "a close leaps away and comes back",
    CheckName.VOLUME_SCALE: "a session's volume is of another order of magnitude",
    CheckName.DUPLICATE_MINUTE: "two rows with different values on one minute",
    CheckName.OFF_MINUTE: "a timestamp that is not on a whole minute",
    CheckName.REFUSED_ROW: "a row that is no bar",
    CheckName.OUTSIDE_RANGE: "open, close or vwap outside [low, high]",
    CheckName.ZERO_VOLUME_RANGE: "prices moved and nothing was traded",
    CheckName.FEEDS_DISAGREE: "another feed tells other prices",
}


@dataclass(frozen=True)
class _Cell:
    """One weekday of the heat map."""

    day: int
    column: int
    style: str
    tip: str


@dataclass(frozen=True)
class _Month:
    number: int
    name: str
    cells: list[_Cell]


@dataclass(frozen=True)
class _Year:
    year: int
    share: float | None
    months: list[_Month]


@dataclass(frozen=True)
class QualityReport:
    """What a page shows of one symbol of one feed, and the page itself.

    Parameters
    ----------
    missing, findings
        As `Lake.missing_minutes` and `Lake.quality` give them.
    days
        As `calendar_days` gives them.
    html
        Text of the page.
    """

    feed: str
    symbol: str
    days: pl.DataFrame
    missing: pl.DataFrame
    findings: pl.DataFrame
    html: str

    @property
    def facts(self) -> dict[str, Any]:
        """The figures at the top of the page: sessions, minutes, what is unexplained, findings."""
        return _facts(self.days, self.missing, self.findings)

    @property
    def absent(self) -> pl.DataFrame:
        """One row per class of absent minutes: class, sessions, minutes."""
        return _by_class(self.missing)

    @property
    def checks(self) -> pl.DataFrame:
        """One row per check and severity: check_name, severity, findings, sessions."""
        return _by_check(self.findings)

    def write(self, path: Path) -> None:
        """Put the page in its place, whole, over an earlier one."""
        unfinished = path.with_name(f".{path.name}.unfinished")
        try:
            with storage_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                unfinished.write_text(self.html, encoding="utf-8")
                unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def make_report(lake: Lake, symbol: str, start: Boundary = None, end: Boundary = None, *, feed: str) -> QualityReport:
    """The quality of one symbol of one feed from `start`, or its first session, up to `end`, or its last."""
    findings = lake.quality(symbol, start, end, feed=feed)
    missing = lake.missing_minutes(symbol, start, end, feed=feed)
    coverage, gaps = (ask(symbol, start, end, feed=feed) for ask in (lake.coverage, lake.gaps))
    span, [held] = time_range(start, end, feed), lake.symbols(feed).filter(pl.col("symbol") == symbol).to_dicts()
    first = span.first_session or held["first"]
    end_session = span.end_session or held["last"] + dt.timedelta(days=1)
    days = calendar_days(
        coverage, gaps, findings, lake.calendar.of(feed).frame, first, end_session, is_always_open=is_always_open(feed)
    )
    html = render(days, missing, findings, feed=feed, symbol=symbol, made_at=lake.now())
    return QualityReport(feed, symbol, days, missing, findings, html)


def report_path(root: Path, feed: str, symbol: str) -> Path:
    """Where a lake keeps the page of one symbol of one feed.

    Examples
    --------
    >>> report_path(Path("data"), "sip", "BTC/USD").as_posix()
    'data/reports/quality-sip-BTC%2FUSD.html'
    """
    return root / "reports" / f"quality-{feed}-{quote(symbol, safe='')}.html"


def calendar_days(
    coverage: pl.DataFrame,
    gaps: pl.DataFrame,
    findings: pl.DataFrame,
    sessions: pl.DataFrame,
    start: dt.date,
    end: dt.date,
    *,
    is_always_open: bool = False,
) -> pl.DataFrame:
    """One row per weekday of [start, end): what a cell of the heat map shows.

    Parameters
    ----------
    coverage, gaps, findings
        Of one symbol of one feed.
    sessions
        `Calendar.frame`.

    Returns
    -------
    session, is_session, is_early_close, expected (regular minutes that were not halted), held (regular
    bars), share (held of expected, at most 1; null where the exchange was closed), halted (minutes),
    class and evidence (as in `gaps`, or null), findings (how many), severity (the worst, or null).
    """
    days = pl.date_range(start, end, "1d", closed="left", eager=True).alias("session").to_frame()
    if not is_always_open:
        days = days.filter(pl.col("session").dt.weekday() <= _LAST_WEEKDAY)
    halts = halted_minutes(() if is_always_open else MARKET_HALTS)
    halted = halts.group_by(session_of(pl.col("timestamp")).alias("session")).agg(pl.len().alias("halted"))
    ranks = {severity.value: rank for rank, severity in enumerate(Severity)}
    found = findings.group_by("session").agg(
        pl.len().alias("findings"),
        pl.col("severity").sort_by(pl.col("severity").replace_strict(ranks, return_dtype=pl.Int64)).last(),
    )
    joined = (
        days.join(sessions, on="session", how="left", maintain_order="left")
        .join(halted, on="session", how="left", maintain_order="left")
        .join(coverage.select("session", "regular_bars"), on="session", how="left", maintain_order="left")
        .join(gaps.select("session", "class", "evidence"), on="session", how="left", maintain_order="left")
        .join(found, on="session", how="left", maintain_order="left")
    )
    minutes = (pl.col("close") - pl.col("open")).dt.total_minutes()
    joined = joined.with_columns(
        pl.col("open").is_not_null().alias("is_session"),
        pl.col("is_early_close").fill_null(value=False),
        pl.col("halted").fill_null(0).cast(pl.Int64),
        pl.col("regular_bars").fill_null(0).alias("held"),
        pl.col("findings").fill_null(0).cast(pl.Int64),
    ).with_columns((minutes - pl.col("halted")).alias("expected"))
    share = (pl.col("held") / pl.col("expected")).clip(upper_bound=1.0)
    return joined.with_columns(share.alias("share")).select(
        "session",
        "is_session",
        "is_early_close",
        "expected",
        "held",
        "share",
        "halted",
        "class",
        "evidence",
        "findings",
        "severity",
    )


def render(
    days: pl.DataFrame,
    missing: pl.DataFrame,
    findings: pl.DataFrame,
    *,
    feed: str,
    symbol: str,
    made_at: dt.datetime,
) -> str:
    """HTML text of one symbol of one feed.

    Parameters
    ----------
    days
        As `calendar_days` gives them.
    missing
        As `barlake.missing_minutes.missing_minutes` gives them.
    made_at
        When the page was made, UTC.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["percent"] = _percent
    source = (importlib.resources.files(__package__) / _TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        feed=feed,
        symbol=symbol,
        is_synthetic=feed == SYNTHETIC_FEED,
        made_at=made_at,
        facts=_facts(days, missing, findings),
        years=_years(days),
        classes=[{**row, "meaning": CLASS_MEANINGS[GapClass(row["class"])]} for row in _by_class(missing).to_dicts()],
        checks=[
            {**row, "meaning": CHECK_MEANINGS[CheckName(row["check_name"])]} for row in _by_check(findings).to_dicts()
        ],
        absent=_rows(
            missing.filter(pl.col("class") != GapClass.CLOSED.value).sort("minutes", "first", descending=[True, False])
        ),
        absent_total=missing.filter(pl.col("class") != GapClass.CLOSED.value).height,
        findings=_rows(findings.sort("session", "timestamp", descending=True, nulls_last=True)),
        findings_total=findings.height,
        most_rows=MOST_ROWS,
    )


def _facts(days: pl.DataFrame, missing: pl.DataFrame, findings: pl.DataFrame) -> dict[str, Any]:
    open_days = days.filter("is_session")
    due = open_days.filter(pl.col("class").ne_missing(GapClass.NOT_YET.value))
    open_questions = missing.filter(pl.col("class").is_in([GapClass.GAP.value, GapClass.UNCONFIRMED.value]))
    return {
        "first": days["session"].min(),
        "last": days["session"].max(),
        "sessions": due.height,
        "held_sessions": due.filter(pl.col("held") > 0).height,
        "expected": int(due["expected"].sum()),
        "held": int(due.select(pl.min_horizontal("held", "expected").sum()).item()),
        "unexplained": int(open_questions["minutes"].sum()),
        "unexplained_sessions": open_questions["session"].n_unique(),
        "findings_total": findings.height,
        "findings_serious": findings.filter(pl.col("severity") != Severity.INFO.value).height,
    }


def _by_class(missing: pl.DataFrame) -> pl.DataFrame:
    order = {kind.value: place for place, kind in enumerate(GapClass)}
    counted = missing.group_by("class").agg(pl.col("session").n_unique().alias("sessions"), pl.col("minutes").sum())
    return counted.sort(pl.col("class").replace_strict(order, return_dtype=pl.Int64))


def _by_check(findings: pl.DataFrame) -> pl.DataFrame:
    counted = findings.group_by("check_name", "severity").agg(
        pl.len().alias("findings"), pl.col("session").n_unique().alias("sessions")
    )
    return counted.sort("findings", "check_name", "severity", descending=[True, False, False])


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return frame.head(MOST_ROWS).to_dicts()


def _years(days: pl.DataFrame) -> list[_Year]:
    years = []
    for year, of_year in _groups(days, pl.col("session").dt.year()):
        months = [
            _Month(month, calendar.month_abbr[month], [_cell(row) for row in of_month.iter_rows(named=True)])
            for month, of_month in _groups(of_year, pl.col("session").dt.month())
        ]
        due = of_year.filter(pl.col("share").is_not_null(), pl.col("class").ne_missing(GapClass.NOT_YET.value))
        expected = due["expected"].sum()
        held = due.select(pl.min_horizontal("held", "expected").sum()).item()
        years.append(_Year(year, held / expected if expected else None, months))
    return years


def _groups(days: pl.DataFrame, by: pl.Expr) -> list[tuple[int, pl.DataFrame]]:
    return [(int(str(key)), rows) for (key,), rows in days.group_by(by, maintain_order=True)]


def _cell(row: Mapping[str, Any]) -> _Cell:
    day: dt.date = row["session"]
    return _Cell(day.day, day.isoweekday(), " ".join(_styles(row)), "\n".join(_tip(row)))


def _styles(row: Mapping[str, Any]) -> list[str]:
    if not row["is_session"]:
        return ["closed"]
    if row["class"] == GapClass.NOT_YET and not row["held"]:
        styles = ["later"]
    else:
        level = next((name for least, name in _LEVELS if row["share"] >= least), _NONE)
        styles = ["empty"] if level == _NONE and row["class"] == GapClass.NO_TRADE else [level]
    styles += ["half"] if row["is_early_close"] else []
    styles += ["halt"] if row["halted"] else []
    if row["findings"]:
        styles.append("noted" if row["severity"] == Severity.INFO else "found")
    return styles


def _tip(row: Mapping[str, Any]) -> list[str]:
    day: dt.date = row["session"]
    lines = [f"{day:%a} {day}"]
    if not row["is_session"]:
        return [*lines, "exchange closed"]
    lines.append(f"{row['held']:,} of {row['expected']:,} regular minutes, {_percent(row['share'])}")
    if row["is_early_close"]:
        lines.append("early close")
    if row["halted"]:
        lines.append(f"market-wide halt: {row['halted']} minutes not expected")
    if row["class"] and row["class"] != GapClass.HALT:
        lines.append(f"{row['class']}: {row['evidence']}")
    if row["findings"]:
        lines.append(f"{row['findings']} finding{'s' * (row['findings'] > 1)}, {row['severity']}")
    return lines


def _percent(share: float | None) -> str:
    """A share for eyes: 100 % only when nothing is missing."""
    if share is None:
        return "\N{EN DASH}"
    text = f"{share:.1%}" if share in {0.0, 1.0} else f"{min(max(share, 0.001), 0.999):.1%}"
    return text.replace(".0%", "%").replace("%", "\N{NO-BREAK SPACE}%")
