"""`barlake quality`: what is absent, what was found, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def page(example: Path) -> Path:
    return example / "reports/quality-synthetic-QQQ.html"


def test_it_prints_classes_and_checks_and_writes_a_page(cli: Any, example: Path, page: Path) -> None:
    done = cli("quality", "QQQ", "--root", example)
    assert (done.code, done.errors) == (0, "")
    assert "unconfirmed" in done.out
    assert "the checks found nothing" in done.out
    assert f"page: {page}" in done.out
    html = page.read_text(encoding="utf-8")
    assert "synthetic bars: made up" in html
    assert html.count('role="img"') == 16  # weekdays from 2 to 23 January 2024, one of them closed


def test_as_json_it_gives_facts_classes_and_findings_of_every_symbol(cli: Any, example: Path, page: Path) -> None:
    done = cli("quality", "--json", "--root", example)
    assert [one["symbol"] for one in done.data] == ["QQQ", "SPY"]
    qqq = done.data[0]
    assert (qqq["feed"], qqq["page"], qqq["first"]) == ("synthetic", str(page), "2024-01-02")
    assert (qqq["sessions"], qqq["expected"], qqq["held"], qqq["unexplained"]) == (15, 5850, 5849, 1)
    assert qqq["absent"] == [
        {"class": "unconfirmed", "sessions": 1, "minutes": 1},
        {"class": "closed", "sessions": 1, "minutes": 390},
    ]
    assert (qqq["checks"], qqq["findings"]) == ([], [])


def test_the_page_goes_where_it_is_asked_to_and_only_there(cli: Any, example: Path, tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "spy.html"
    done = cli("quality", "SPY", "--start", "2024-01-08", "--end", "2024-01-13", "--html", target, "--root", example)
    assert done.code == 0
    assert target.read_text(encoding="utf-8").count('role="img"') == 5
    assert [path.name for path in target.parent.iterdir()] == ["spy.html"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("SPY", "QQQ", "--html", "one.html"), "--html one.html is one page, and 2 are asked for"),
        (("SPY", "--html", "one.txt"), "--html one.txt is not a .html file"),
        (("SPX",), "Did you mean 'SPY'?"),
        (("SPY", "--feed", "iex"), "has no bars for feed 'iex'"),
    ],
)
def test_what_cannot_be_done_is_one_clear_error(
    cli: Any, example: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = cli("quality", *arguments, "--root", example)
    assert (done.code, done.out) == (1, "")
    assert message in done.errors


def test_an_empty_lake_says_so(cli: Any, tmp_path: Path) -> None:
    assert "The lake is empty" in cli("quality", "--root", tmp_path).out
    assert cli("quality", "--root", tmp_path, "--json").data == []
