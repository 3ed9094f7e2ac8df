"""Made-up news in Alpaca's form: articles that appear, are revised, and are sorted by when they were last changed.

Facts about the endpoint: https://docs.alpaca.markets/reference/news-3. Articles say nothing and call themselves
`synthetic`; they depend on the seed and the date alone.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ingest_service.emulator.query import RefusedError, parse_limit
from ingest_service.emulator.traits import generator

__all__ = ["NewsDesk"]

_PER_DAY = 6
_LIMIT_DEFAULT, _LIMIT_MAX = 10, 50
_REVISED_SHARE = 0.3
_LONGEST_REVISION = dt.timedelta(days=2)
_DAY = dt.timedelta(days=1)


class NewsDesk:
    """The articles of every day.

    Parameters
    ----------
    symbols
        What articles are about.
    seed
        Another seed is other news.
    """

    def __init__(self, symbols: Sequence[str], *, seed: int) -> None:
        self._symbols = tuple(symbols)
        self._seed = seed
        self._day = functools.lru_cache(maxsize=8192)(self._articles_of)

    def answer(self, parameters: Mapping[str, str], *, now: dt.datetime) -> dict[str, Any]:
        """Body of an answer: at most 50 articles by instant of their last change, newest first unless asked otherwise.

        Raises
        ------
        RefusedError
            With the status and body to answer.
        """
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        start, end = _instant(parameters, "start", today), min(_instant(parameters, "end", now), now)
        limit = parse_limit(parameters, _LIMIT_DEFAULT, _LIMIT_MAX)
        symbols = {name for name in parameters.get("symbols", "").split(",") if name}
        descending = parameters.get("sort", "desc") == "desc"
        found = [
            one
            for one in self.changed_between(start - dt.timedelta(microseconds=1), end, now=now)
            if not symbols or symbols & set(one["symbols"])
        ]
        found.sort(key=_place, reverse=descending)
        if "page_token" in parameters:
            last = _token_place(parameters["page_token"])
            found = [one for one in found if (_place(one) < last if descending else _place(one) > last)]
        kept = found[:limit]
        token = None
        if len(found) > limit:
            token = base64.b64encode("|".join(map(str, _place(kept[-1]))).encode()).decode()
        if parameters.get("include_content", "").lower() != "true":
            kept = [one | {"content": ""} for one in kept]
        return {"news": kept, "next_page_token": token}

    def changed_between(self, after: dt.datetime, until: dt.datetime, *, now: dt.datetime) -> Iterator[dict[str, Any]]:
        """Articles as they are known now, whose last change lies in (after, until]."""
        day = (after - _LONGEST_REVISION).date()
        while day <= until.date():
            for first, revised in self._day(day):
                known = revised if revised is not None and _time(revised) <= now else first
                if after < _time(known) <= min(until, now):
                    yield known
            day += _DAY

    def _articles_of(self, day: dt.date) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
        draw = generator(self._seed, "news", day.toordinal())
        return [self._article(day, number, draw) for number in range(int(draw.poisson(_PER_DAY)))]

    def _article(self, day: dt.date, number: int, draw: Any) -> tuple[dict[str, Any], dict[str, Any] | None]:
        identity = day.toordinal() * 100 + number
        created = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC) + dt.timedelta(seconds=int(draw.integers(86_400)))
        about = sorted(
            {self._symbols[place] for place in draw.integers(len(self._symbols), size=int(draw.integers(1, 3)))}
        )
        article = {
            "id": identity,
            "headline": f"Made-up article {identity} about {' and '.join(about)}",
            "author": "the emulator",
            "created_at": _wire(created),
            "updated_at": _wire(created),
            "summary": "Nothing happened &amp; nobody said so.",
            "content": f"<p>Article {identity} is made up and says nothing.</p>",
            "url": f"https://news.example/{identity}",
            "images": [],
            "symbols": about,
            "source": "synthetic",
        }
        wait = dt.timedelta(seconds=int(draw.integers(60, int(_LONGEST_REVISION.total_seconds()))))
        if draw.random() >= _REVISED_SHARE:
            return article, None
        return article, article | {"headline": f"{article['headline']}, revised", "updated_at": _wire(created + wait)}


def _wire(instant: dt.datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(article: Mapping[str, Any]) -> dt.datetime:
    return dt.datetime.fromisoformat(article["updated_at"])


def _place(article: Mapping[str, Any]) -> tuple[int, int]:
    return int(_time(article).timestamp()) * 1_000_000_000, article["id"]


def _token_place(token: str) -> tuple[int, int]:
    try:
        nanoseconds, identity = base64.b64decode(token, validate=True).decode().split("|")
        return int(nanoseconds), int(identity)
    except (binascii.Error, ValueError) as error:
        raise RefusedError(400, {"message": "invalid page_token"}) from error


def _instant(parameters: Mapping[str, str], name: str, default: dt.datetime) -> dt.datetime:
    text = parameters.get(name)
    if text is None:
        return default
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise RefusedError(400, {"message": f"invalid {name}: {text}"}) from error
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=dt.UTC)
