"""Which of several forms a client would rather have: `Accept` and `Accept-Encoding` of RFC 9110, section 12.5."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import HTTPException, status

__all__ = ["preferred_media", "takes_gzip"]


def preferred_media(accept: str | None, offered: Sequence[str]) -> str:
    """The form of highest quality, and of equals the one offered first; without a header the first of all.

    Raises
    ------
    HTTPException
        406, naming what there is, when the client takes none of them.

    Examples
    --------
    >>> preferred_media("text/csv;q=0.5, application/*", ["application/json", "text/csv"])
    'application/json'
    """
    wanted = _weighted(accept) or {"*/*": 1.0}
    best = max(offered, key=lambda media: (_quality(wanted, media), -offered.index(media)))
    if _quality(wanted, best) <= 0:
        raise HTTPException(
            status.HTTP_406_NOT_ACCEPTABLE,
            detail=f"Accept {accept!r} names no form of this answer: ask for one of {', '.join(offered)}.",
        )
    return best


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether a client says that it can unpack gzip."""
    wanted = _weighted(accept_encoding)
    return wanted.get("gzip", wanted.get("*", 0.0)) > 0


def _weighted(header: str | None) -> dict[str, float]:
    """Names in lower case with their qualities; what cannot be read as a quality is 0."""
    found = {}
    for part in (header or "").split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        if name:
            given = [text.removeprefix("q=") for text in parameters if text.startswith("q=")]
            found[name] = _number(given[0]) if given else 1.0
    return found


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _quality(wanted: dict[str, float], media: str) -> float:
    """Quality of one form: what is said of it, else of its kind, else of all."""
    ranges = (media, f"{media.split('/', maxsplit=1)[0]}/*", "*/*")
    return next((wanted[name] for name in ranges if name in wanted), 0.0)
