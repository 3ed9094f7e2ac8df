"""What the pages show runs as it stands: Python and SQL in order, and the output shown is the output."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

import barlake
from barlake.testing import make_bars

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "data").glob("README.md")])
NOT_RUN = ROOT / "docs" / "s3.md"
"""Its SQL downloads an extension of DuckDB; the page says that it is not run."""
CATALOGUE = "data/duckdb/market.duckdb"
BLOCK = re.compile(r"^```(python|sql)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A block of code of a page, and the output that stands right below it."""

    language: str
    code: str
    shown: str


def examples(text: str) -> list[Example]:
    return [Example(*found.groups(default="")) for found in BLOCK.finditer(text)]


def run(example: Example, names: dict[str, object]) -> str:
    """What a block prints; `names` is what the page has defined so far."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if example.language == "python":
            exec(compile(example.code, "<page>", "exec"), names)  # noqa: S102 - the page's own example
        else:
            for answer in answers(example.code):
                print(answer)  # noqa: T201 - as the command line of DuckDB does
    return printed.getvalue()


def answers(code: str) -> Iterator[str]:
    with duckdb.connect(CATALOGUE, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in connection.extract_statements(code):
            yield str(connection.sql(statement.query)).rstrip()


@pytest.fixture(autouse=True)
def _two_symbols() -> None:
    with barlake.open("data") as lake:
        for seed, symbol in enumerate(("SPY", "QQQ")):
            bars = make_bars([dt.date(2024, 1, 2), dt.date(2024, 1, 3)], seed=seed)
            lake.write_bars(bars, feed="synthetic", symbol=symbol)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page != NOT_RUN and examples(page.read_text(encoding="utf-8"))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_a_page_shows_what_happens(page: Path) -> None:
    names: dict[str, object] = {}
    for example in examples(page.read_text(encoding="utf-8")):
        printed = run(example, names)
        if example.shown:
            assert printed == example.shown, f"{page.name}: shown is not what is printed by\n{example.code}"


def test_the_pages_of_both_faces_are_among_them() -> None:
    for name, language in (("README.md", "python"), ("docs/python.md", "python"), ("docs/sql.md", "sql")):
        assert {one.language for one in examples((ROOT / name).read_text(encoding="utf-8"))} == {language}


def test_output_that_is_not_what_happens_is_found() -> None:
    python, text = "```python\nx = 1\nprint(x)\n```\n\n", "```text\n2\n```\n\n"
    first, second = examples(f"{python}{text}```sql\nSELECT 1 AS one;\n```\n\nWords.\n\n{text}")
    assert (first.shown, second.shown) == ("2\n", "")
    assert run(first, {}) == "1\n"
    assert "one" in run(second, {})
