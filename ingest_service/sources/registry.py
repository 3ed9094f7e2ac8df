"""Which sources there are: ours and those that installed packages bring, found by one group of entry points."""

from __future__ import annotations

import importlib.metadata
import logging
import threading
from collections.abc import Iterator

from barlake.errors import BarlakeError, InvalidInputError, did_you_mean
from barlake.settings import Settings
from ingest_service.sources.courier import Courier
from ingest_service.sources.interface import Source

__all__ = ["GROUP", "source_named", "sources"]

logger = logging.getLogger(__name__)

GROUP = "barlake.sources"

_HOME = "ingest_service.sources."

_OURS: dict[str, tuple[str, str | None]] = {
    "alpaca": ("alpaca_sources:stocks", None),
    "alpaca-crypto": ("alpaca_sources:coins", None),
    "alphavantage": ("alpha_vantage:from_settings", "alphavantage"),
    "binance": ("ccxt_source:from_settings", "ccxt"),
    "fred": ("fred:from_settings", "fred"),
    "massive": ("massive_source:from_settings", "massive"),
    "yahoo": ("yahoo:from_settings", "yahoo"),
}
"""Name -> where its factory stands, and the extra that brings its library."""


def source_named(name: str, settings: Settings, *, stop: threading.Event | None = None) -> Courier:
    """The source of that name, with whatever is needed to ask it.

    Parameters
    ----------
    stop
        Ends waits and retries at once when set.

    Raises
    ------
    InvalidInputError
        If there is none of that name, its library is not installed, or what its package offers is no source.
    CredentialsError
        If it needs a key and the settings have none.
    """
    found = _entries()
    entry = found.get(name)
    if entry is None:
        raise InvalidInputError(
            f"source {name!r} is not known: there are {', '.join(sorted(found))}.{did_you_mean(name, found)}"
        )
    return Courier(_made(entry, settings), settings, stop=stop)


def sources() -> Iterator[str]:
    """Names of the sources there are, sorted; those whose library is missing included."""
    yield from sorted(_entries())


def _entries() -> dict[str, importlib.metadata.EntryPoint]:
    """Entry points by name; of two with one name ours counts, then the first."""
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for name, (value, _) in _OURS.items():
        found[name] = importlib.metadata.EntryPoint(name, f"{_HOME}{value}", GROUP)
    for entry in importlib.metadata.entry_points(group=GROUP):
        found.setdefault(entry.name, entry)
    return found


def _made(entry: importlib.metadata.EntryPoint, settings: Settings) -> Source:
    try:
        factory = entry.load()
    except ModuleNotFoundError as error:
        extra = _OURS.get(entry.name, ("", None))[1]
        if extra is not None and not (error.name or "").startswith(_HOME.rstrip(".")):
            raise InvalidInputError(
                f"source {entry.name!r} needs {error.name}, which is not installed: pip install 'barlake[{extra}]'"
            ) from error
        raise InvalidInputError(_broken(entry, error)) from error
    except Exception as error:  # a stranger's module may raise anything
        raise InvalidInputError(_broken(entry, error)) from error
    try:
        made = factory(settings)
    except BarlakeError:
        raise
    except Exception as error:  # the same
        raise InvalidInputError(_broken(entry, error)) from error
    if not hasattr(made, "capabilities"):
        raise InvalidInputError(_broken(entry, TypeError("what it makes has no `capabilities`")))
    source: Source = made
    return source


def _broken(entry: importlib.metadata.EntryPoint, error: Exception) -> str:
    return (
        f"source {entry.name!r} cannot be used: {entry.value} fails with {type(error).__name__}: {error}. "
        "Mend or remove the package that brings it."
    )
