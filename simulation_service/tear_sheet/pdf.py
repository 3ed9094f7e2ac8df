"""The tear sheet on paper: the same page, set on A4 by WeasyPrint."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, NoReturn

from barlake.errors import InvalidInputError

__all__ = ["page_as_pdf"]


def page_as_pdf(page: str) -> bytes:
    """PDF of a page that `render` made; the same bytes for the same page, fonts and version of WeasyPrint.

    Raises
    ------
    InvalidInputError
        If WeasyPrint, or the Pango library that it sets text with, is not installed; or the page asks for anything
        outside itself.
    """
    try:
        import weasyprint  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise InvalidInputError(
            'a PDF needs WeasyPrint, which is not installed: pip install "barlake[pdf]". The HTML page needs nothing.'
        ) from error
    except OSError as error:
        raise InvalidInputError(
            f"a PDF needs the Pango library of the system, which cannot be loaded ({error}): "
            "apt-get install libpango-1.0-0 libpangoft2-1.0-0. The HTML page needs nothing."
        ) from error
    asked: list[str] = []

    class Nothing(weasyprint.URLFetcher):  # type: ignore[misc] # the library has no types
        """Fetches nothing, from the disk or elsewhere, and remembers what was asked for."""

        def fetch(self, url: str, headers: Any = None) -> NoReturn:
            del headers
            asked.append(url)
            raise ValueError(url)

    with _without_warnings():
        pdf: bytes = weasyprint.HTML(string=page, url_fetcher=Nothing()).write_pdf()
    if asked:
        raise InvalidInputError(f"page asks for {asked[0]}: a tear sheet needs nothing but itself. Make the run again.")
    return pdf


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Half of the style sheet is for screens, and WeasyPrint would tell each line of it; errors are still told."""
    told = logging.getLogger("weasyprint")
    before = told.level
    told.setLevel(logging.ERROR)
    try:
        yield
    finally:
        told.setLevel(before)
