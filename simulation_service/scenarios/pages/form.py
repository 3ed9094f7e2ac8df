"""The form of a page: a head, cards, and sections of charts and tables; and what writes it as HTML."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import markupsafe
import numpy as np

from barlake.durable import storage_errors
from barlake.errors import InvalidInputError
from simulation_service import tear_sheet
from simulation_service.tear_sheet import typeset
from simulation_service.tear_sheet.charts import WIDTH, Chart, Label, Scale, line
from simulation_service.ticks import FloatArray

__all__ = ["Bar", "Card", "Page", "Section", "Table", "band_chart", "curve_chart", "write_page"]

_HEIGHT = 320
_TEMPLATE, _STYLE = "page.html.j2", "style.css"


@dataclass(frozen=True)
class Card:
    """One figure of the head."""

    title: str
    value: str
    beside: str = ""


@dataclass(frozen=True)
class Bar:
    """A cell of a table that is drawn: from the place of zero to that of the value, percents of its width."""

    left: float
    width: float
    zero: float
    is_loss: bool

    @classmethod
    def row(cls, values: Sequence[float | None]) -> list[Bar | None]:
        """Bars of a column of values on one scale; none for None."""
        known = [value for value in values if value is not None]
        low, high = min([0.0, *known]), max([0.0, *known])
        width = high - low or 1.0
        return [
            None
            if value is None
            else cls((min(value, 0.0) - low) / width * 100, abs(value) / width * 100, -low / width * 100, value < 0)
            for value in values
        ]


@dataclass(frozen=True)
class Table:
    """Headings, and rows of texts and bars; the first cell of a row is its name."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str | Bar | None]]


@dataclass(frozen=True)
class Section:
    """A name, what to know in the margin, and beside it charts, then tables."""

    name: str
    text: str
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Page:
    """Everything a page says."""

    kicker: str
    title: str
    subject: str
    about: str
    verdict: str
    notice: str | None
    cards: Sequence[Card]
    sections: Sequence[Section]
    remarks: Sequence[str] = field(default=())

    def html(self) -> str:
        """The page as text, the same for the same page."""
        style = markupsafe.Markup(_part(_STYLE))  # noqa: S704 - our own file
        return _template().render(page=self, style=style)


def write_page(path: Path, page: Page) -> None:
    """Write a page whole or not at all.

    Raises
    ------
    InvalidInputError
        If the file's name does not end in `.html`.
    StorageError
        If it cannot be written.
    """
    if path.suffix.lower() != ".html":
        raise InvalidInputError(f"page {path} is not a .html file: name one.")
    unfinished = path.with_name(f".{path.name}.part")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_text(page.html(), encoding="utf-8")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def curve_chart(
    lines: Sequence[tuple[str, str, FloatArray]], *, marks: str, x_labels: Sequence[Label], zero: float | None = None
) -> Chart:
    """Lines of equal length on one scale, the last of them on top: style, legend and values of each."""
    lowest = min(float(np.nanmin(values)) for _, _, values in lines)
    highest = max(float(np.nanmax(values)) for _, _, values in lines)
    if zero is not None:
        lowest, highest = min(lowest, zero), max(highest, zero)
    scale = Scale.holding(lowest, highest, height=_HEIGHT)
    return Chart(
        height=_HEIGHT,
        lines=[line(style, legend, values, scale) for style, legend, values in lines],
        y_labels=scale.labels(marks),
        x_labels=list(x_labels),
        zero=None if zero is None else scale.percent(zero),
    )


def band_chart(
    lines: Sequence[tuple[str, str, FloatArray]],
    band: tuple[FloatArray, FloatArray],
    *,
    marks: str,
    x_labels: Sequence[Label],
    zero: float,
) -> Chart:
    """`curve_chart` with the room between two more lines filled."""
    every = [*lines, ("", "", band[0]), ("", "", band[1])]
    whole = curve_chart(every, marks=marks, x_labels=x_labels, zero=zero)
    # Down one edge and back along the other.
    back = whole.lines[-1].path[1:].split("L")[::-1]
    area = f"{whole.lines[-2].path}L{'L'.join(back)}Z" if len(back) > 1 else f"{whole.lines[-2].path}H{WIDTH}"
    return Chart(_HEIGHT, whole.lines[:-2], whole.y_labels, whole.x_labels, area=area, zero=whole.zero)


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_part),
    )
    # The parts of the tear sheet set figures with these.
    environment.filters.update({"number": typeset.number, "eastern": typeset.eastern, "day": typeset.day})
    return environment.get_template(_TEMPLATE)


def _part(name: str) -> str:
    """The page is ours; how charts are drawn, and how everything looks, is the tear sheet's."""
    room = __package__ if name == _TEMPLATE else tear_sheet.__name__
    return (importlib.resources.files(room) / name).read_text(encoding="utf-8")
