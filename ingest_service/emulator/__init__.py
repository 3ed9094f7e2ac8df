"""A local Alpaca: market data and calendar over HTTP, with its limits, its manners and, on request, faults.

It serves a folder of Parquet files, or bars made up from a seed, to any client that lets its base URL be
set, by a clock that can be set. Orders and accounts are not part of it.
"""

from ingest_service.emulator.accounts import PAPER_FREE, PAPER_PLUS, Plan
from ingest_service.emulator.application import create_app
from ingest_service.emulator.clock import VirtualClock
from ingest_service.emulator.config import EmulatorConfig
from ingest_service.emulator.faults import Fault
from ingest_service.emulator.limiter import LimitClock, LimiterKind
from ingest_service.emulator.server import run, serve

__all__ = [
    "PAPER_FREE",
    "PAPER_PLUS",
    "EmulatorConfig",
    "Fault",
    "LimitClock",
    "LimiterKind",
    "Plan",
    "VirtualClock",
    "create_app",
    "run",
    "serve",
]
