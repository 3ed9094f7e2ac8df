"""Which feed is meant by symbols that several may hold. Pure: names in, a name or a refusal out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from barlake.errors import InvalidInputError, NotFoundError, did_you_mean
from barlake.indices import index_advice
from barlake.keys import preferred_feed

__all__ = ["chosen_feed", "require_held"]


def chosen_feed(names: Sequence[str], feeds: Mapping[str, set[str]], feed: str | None) -> str:
    """The feed named, or the one that goes first of those that hold every symbol.

    Parameters
    ----------
    feeds
        Feed -> the symbols it holds.

    Raises
    ------
    NotFoundError
        If no single feed holds every symbol.
    InvalidInputError
        If several feeds do and none of them goes first.
    """
    if feed is not None:
        require_held(names, feeds.get(feed, set()), feed)
        return feed
    require_held(names, {symbol for held in feeds.values() for symbol in held}, None)
    holding = [name for name in sorted(feeds) if feeds[name].issuperset(names)]
    if not holding:
        raise NotFoundError(
            f"no single feed holds all of {', '.join(names)}, and feeds are never mixed: ask for one at a time."
        )
    first = preferred_feed(holding)
    if first is None:
        raise InvalidInputError(
            f"{' and '.join(names)} can be had from the feeds {', '.join(holding)}: name one, with feed= or --feed."
        )
    return first


def require_held(names: Sequence[str], held: set[str], feed: str | None) -> None:
    """Refuse the first symbol that is not held, with those that are near it and the next step."""
    where = "" if feed is None else f" for feed {feed!r}"
    for name in names:
        if name not in held:
            raise NotFoundError(
                f"symbol {name!r} has no bars{where} in this lake.{did_you_mean(name, held)} "
                f"`barlake symbols` lists what is here. {index_advice(name) or f'`barlake ingest {name}` fetches it.'}"
            )
