"""A local Alpaca: bars, calendar and clock over HTTP, with its limits, its manners and, on request, faults.

It serves a folder of Parquet files, or bars made up from a seed, to any client that lets its base URL be
set. Streaming, corporate actions, news and orders are not part of it.
"""

from ingest_service.emulator.application import create_app
from ingest_service.emulator.config import EmulatorConfig
from ingest_service.emulator.faults import Fault
from ingest_service.emulator.server import run, serve

__all__ = ["EmulatorConfig", "Fault", "create_app", "run", "serve"]
