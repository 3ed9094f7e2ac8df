"""The live agent as the settings describe it: which feed, over which stream, on which plan."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from barlake.clock import clock_of
from barlake.lake import Lake
from barlake.settings import Settings
from ingest_service.alpaca import AlpacaSource, account_throttle
from ingest_service.live.agent import Beat, LiveAgent, StreamSettings
from ingest_service.live.stream import stream_url
from ingest_service.watch_list import Security

__all__ = ["beat_details", "live_agent", "streamed"]


def live_agent(
    lake: Lake,
    settings: Settings,
    symbols: Sequence[str],
    *,
    stop: threading.Event,
    on_beat: Callable[[Beat], None],
    beat_s: float,
    names: Mapping[str, str] | None = None,
    feed: str | None = None,
) -> LiveAgent:
    """An agent that runs when it is told to.

    Parameters
    ----------
    names
        What Alpaca calls a symbol, where it is another name.
    feed
        None takes `ALPACA_LIVE_FEED`.

    Raises
    ------
    CredentialsError
        If key or secret is absent or cannot be one.
    """
    feed = (feed or settings.alpaca_live_feed).lower()
    source = AlpacaSource.from_settings(settings, stop=stop, throttle=account_throttle(settings))
    key, secret = source.secrets
    wants_stream = settings.alpaca_stream.lower() == "auto"
    plan = settings.alpaca_plan.lower()
    return LiveAgent(
        lake,
        source,
        symbols=symbols,
        feed=feed,
        clock=clock_of(settings),
        stop=stop,
        stream=StreamSettings(stream_url(settings, feed), key, secret) if wants_stream else None,
        has_recent=None if plan == "auto" else plan == "plus" or feed != "sip",
        on_beat=on_beat,
        beat_s=beat_s,
        names=names,
    )


def streamed(securities: Sequence[Security]) -> dict[str, str]:
    """Symbol to Alpaca's name of it, of the securities that it has minute bars of while the exchange is open."""
    found = {}
    for security in securities:
        name = security.name_at("alpaca")
        if security.enabled and name is not None and security.category != "crypto":
            found[security.symbol] = name
    return found


def beat_details(beat: Beat) -> dict[str, object]:
    """What a sign of life says beside its state, as JSON can hold it."""
    facts: dict[str, object] = {
        "session": None if beat.session is None else beat.session.isoformat(),
        "message_age_s": None if beat.message_age_s is None else round(beat.message_age_s, 1),
        "lag_s": None if beat.lag_s is None else round(beat.lag_s, 1),
        "rows": beat.rows,
        "halted": list(beat.halted),
        "note": beat.note,
    }
    return {name: value for name, value in facts.items() if value not in (None, "", [])}
