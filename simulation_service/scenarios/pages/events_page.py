"""The page of an event study: what happened around events on average, and to each of them."""

from __future__ import annotations

import polars as pl

from simulation_service.scenarios.events import EventReport, Unit
from simulation_service.scenarios.pages.form import Bar, Card, Page, Section, Table, band_chart
from simulation_service.tear_sheet.charts import Chart, Label
from simulation_service.tear_sheet.typeset import day, eastern, number
from simulation_service.ticks import FloatArray

__all__ = ["MOST_EVENTS", "events_page"]

MOST_EVENTS = 200
_MOST_MARKS = 12
_MOST_ROWS = 40
_STEPS = tuple(digit * 10**power for power in range(6) for digit in (1, 2, 5))
_Z = 1.96


def events_page(report: EventReport, *, subject: str) -> Page:
    """Page of a study.

    Parameters
    ----------
    subject
        Which events, in words.
    """
    dates = report.events["date"]
    expected = _expected(report)
    return Page(
        kicker="Event study",
        title=report.symbol,
        subject=subject,
        about=f"{len(dates)} events from {day(dates[0])} to {day(dates[-1])} · "
        f"{'made-up bars' if report.is_synthetic else 'feed ' + report.feed} · {expected}",
        verdict=_verdict(report),
        notice="these prices were made up; they are no market." if report.is_synthetic else None,
        remarks=report.remarks(),
        cards=_cards(report),
        sections=[
            Section(
                "Around the event",
                f"Mean cumulative abnormal return by {report.unit} from the event at 0. The band is two standard "
                "errors to each side: where it holds zero, chance alone would do.",
                charts=[_chart(report)],
            ),
            Section(
                f"By {report.unit.removesuffix('s')}",
                f"Move: how large the moves were by their usual size; 1 is as always.{_every(report)}",
                tables=[_table(report)],
            ),
            Section("Each event", f"New York dates and times. {_cut(report)}", tables=[_each(report)]),
        ],
    )


def _every(report: EventReport) -> str:
    step = _step(report, _MOST_ROWS)
    return f" Every {step} {report.unit}; the chart has all." if step > 1 else ""


def _step(report: EventReport, most: int) -> int:
    """Distance between offsets of which at most so many are shown."""
    step: int = next(step for step in _STEPS if report.study.offsets.size <= step * most)
    return step


def _offset(offset: int) -> str:
    return f"{offset:+d}".replace("-", "\N{MINUS SIGN}") if offset else "event"


def _expected(report: EventReport) -> str:
    if report.unit is Unit.MINUTES:
        return "log price since the last one before the event"
    if report.benchmark is not None:
        return f"returns beyond those that {report.benchmark} leads one to expect"
    return "returns beyond the mean of the sessions before"


def _verdict(report: EventReport) -> str:
    last = report.study.table().row(-1, named=True)
    at = report.study.table().filter(offset=0).row(0, named=True)
    t = "" if last["t"] is None else f" (t\N{NO-BREAK SPACE}{number(last['t'], 'ratio')})"
    return (
        f"Over {last['events']} events the whole window made {number(last['mean_cumulative'], 'percent')} beyond "
        f"what was expected{t}; the event's own {report.unit.removesuffix('s')} moved "
        f"{number(at['move_ratio'], 'ratio')} times as much as usual."
    )


def _cards(report: EventReport) -> list[Card]:
    table = report.study.table()
    at, last = table.filter(offset=0).row(0, named=True), table.row(-1, named=True)
    return [
        Card("Events", number(last["events"], "count"), f"{report.left_out} left out"),
        Card("At the event", number(at["mean_abnormal"], "percent"), f"{number(at['share_positive'], 'share')} rose"),
        Card("Whole window", number(last["mean_cumulative"], "percent"), "beyond what was expected"),
        Card("t of the window", number(last["t"], "ratio"), "beyond 2: hardly chance"),
        Card("Size of the move", number(at["move_ratio"], "ratio"), "times the usual, at the event"),
    ]


def _chart(report: EventReport) -> Chart:
    table = report.study.table()
    mean: FloatArray = table["mean_cumulative"].to_numpy() * 100
    error: FloatArray = table["standard_error"].fill_null(0.0).to_numpy() * 100 * _Z
    offsets = report.study.offsets
    step = _step(report, _MOST_MARKS)
    width = max(offsets.size - 1, 1)
    labels = [
        Label((offset - offsets[0]) / width * 100, _offset(offset)) for offset in offsets.tolist() if offset % step == 0
    ]
    return band_chart(
        [("own", "Mean of all events", mean)],
        (mean - error, mean + error),
        marks="{:+,.4g} %",
        x_labels=labels,
        zero=0.0,
    )


def _table(report: EventReport) -> Table:
    rows = report.study.table().filter(pl.col("offset") % _step(report, _MOST_ROWS) == 0).to_dicts()
    bars = Bar.row([row["mean_abnormal"] for row in rows])
    return Table(
        ("Offset", "", "Mean", "Rose", "Cumulative", "t", "Move"),
        [
            [
                _offset(row["offset"]),
                bar,
                number(row["mean_abnormal"], "fine_percent"),
                number(row["share_positive"], "whole_share"),
                number(row["mean_cumulative"], "fine_percent"),
                number(row["t"], "ratio"),
                number(row["move_ratio"], "ratio"),
            ]
            for row, bar in zip(rows, bars, strict=True)
        ],
    )


def _each(report: EventReport) -> Table:
    rows = report.each().tail(MOST_EVENTS).reverse().to_dicts()
    bars = Bar.row([row["cumulative"] for row in rows])
    return Table(
        ("Event", "When", "", "Whole window"),
        [
            [
                row["name"],
                row["date"].isoformat() if row["instant"] is None else eastern(row["instant"]),
                bar,
                number(row["cumulative"], "percent"),
            ]
            for row, bar in zip(rows, bars, strict=True)
        ],
    )


def _cut(report: EventReport) -> str:
    earlier = report.events.height - MOST_EVENTS
    newest = "Newest first"
    return f"{newest}; {earlier:,} earlier ones are not shown." if earlier > 0 else f"{newest}."
