from __future__ import annotations

import io
import sys

import pypdf
import pytest

from barlake.errors import InvalidInputError
from simulation_service.tear_sheet import page_as_pdf
from tests.simulation_service.tear_sheet.small_run import run_page, run_results


@pytest.fixture(scope="module")
def pdf() -> bytes:
    return page_as_pdf(run_page(run_results(feed="synthetic")))


def test_pdf_is_set_on_a4_and_says_what_the_page_says(pdf: bytes) -> None:
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    width, height = (float(side) / 72 * 25.4 for side in pages[0].mediabox[2:])
    assert (round(width), round(height)) == (210, 297)
    assert "became $1,012.50 in 2 sessions" in text
    assert "ab" * 32 in text.replace(" ", "")


def test_every_page_of_a_pdf_names_the_run_and_that_its_bars_were_made_up(pdf: bytes) -> None:
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    for number, page in enumerate(pages, 1):
        text = " ".join(page.extract_text().split())
        assert "run feedbeefcafe0001 · synthetic bars" in text
        assert f"{number} / {len(pages)}" in text


def test_pdf_of_the_same_page_has_the_same_bytes(pdf: bytes) -> None:
    assert page_as_pdf(run_page(run_results(feed="synthetic"))) == pdf


def test_page_that_asks_for_something_outside_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="needs nothing but itself"):
        page_as_pdf('<img src="https://example.com/a.png">')


def test_missing_library_names_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(InvalidInputError, match=r'pip install "barlake\[pdf\]"'):
        page_as_pdf(run_page())
