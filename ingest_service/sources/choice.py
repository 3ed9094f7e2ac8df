"""Who is asked for what: the sources that the settings name for a purpose, in their order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from enum import StrEnum

from barlake.errors import CredentialsError, InvalidInputError, did_you_mean
from barlake.keys import is_always_open
from barlake.settings import Settings
from ingest_service.sources.failover import Failover
from ingest_service.sources.registry import source_named, sources
from ingest_service.watch_list import Security

__all__ = ["Purpose", "purpose_of", "sources_for"]

logger = logging.getLogger(__name__)


class Purpose(StrEnum):
    """What sources are asked for; each has an order of its own in the settings."""

    MINUTE = "minute"
    DAILY = "daily"
    CRYPTO = "crypto"
    NEWS = "news"
    MACRO = "macro"


def purpose_of(feed: str) -> Purpose:
    """What minute bars of a feed are: those of coins, or those of stocks."""
    return Purpose.CRYPTO if is_always_open(feed) else Purpose.MINUTE


def sources_for(
    purpose: Purpose,
    settings: Settings,
    *,
    names: Sequence[str] = (),
    securities: Iterable[Security] = (),
    stop: threading.Event | None = None,
) -> Failover:
    """The sources for a purpose, the primary first; one without its key or its library is left out, and that is said.

    Parameters
    ----------
    names
        In place of those that `BARLAKE_DAILY_SOURCES` and its like name.
    securities
        What the sources call them; others are called by their symbols.
    stop
        Ends waits and retries at once when set.

    Raises
    ------
    InvalidInputError
        If a name is not that of a source.
    CredentialsError, InvalidInputError
        If none of them can be used: what the first one lacks.
    """
    wanted = tuple(names) or getattr(settings.sources.order, f"{purpose}_sources")
    known = list(sources())
    for name in wanted:
        if name not in known:
            raise InvalidInputError(
                f"source {name!r} is not known: there are {', '.join(known)}.{did_you_mean(name, known)}"
            )
    usable, lacking = [], []
    for name in wanted:
        try:
            usable.append(source_named(name, settings, stop=stop))
        except (CredentialsError, InvalidInputError) as error:
            lacking.append(error)
    if not usable and lacking:
        raise lacking[0]
    for lack in lacking:
        logger.warning("a source is left out: %s", lack, extra={"stage": "failover"})
    return Failover(usable, securities=securities)
