"""The tear sheet on paper: the same page, set on A4 by WeasyPrint."""

from __future__ import annotations

from typing import Any, NoReturn

from barlake.errors import InvalidInputError

__all__ = ["page_as_pdf"]


def page_as_pdf(page: str) -> bytes:
    """PDF of a page that `render` made; the same bytes for the same page, fonts and version of WeasyPrint.

    Raises
    ------
    InvalidInputError
        If WeasyPrint, or the Pango library that it sets text with, is not installed.
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
    pdf: bytes = weasyprint.HTML(string=page, url_fetcher=_refuse).write_pdf()
    return pdf


def _refuse(url: str, *_: Any, **__: Any) -> NoReturn:
    """A page asks for nothing outside itself; one that does is not a tear sheet."""
    raise InvalidInputError(f"page asks for {url}: a tear sheet needs nothing but itself. Make the run again.")
