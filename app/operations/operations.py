"""Operations: the one object by which workers say what they do, and everyone else sees it."""

from __future__ import annotations

from typing import Self

from sqlalchemy import Engine

from app.operations.alerts import Alerts
from app.operations.api_keys import ApiKeys
from app.operations.database import open_engine, operations_place
from app.operations.desired import DesiredStates
from app.operations.heartbeats import Heartbeats
from app.operations.log_records import LogRecords
from app.operations.redaction import Redactor
from app.operations.senders import senders_of
from barlake.settings import Settings

__all__ = ["Operations", "open_operations"]


def open_operations(settings: Settings) -> Operations:
    """The operations database of a lake, made when missing.

    Raises
    ------
    StorageError
        If it cannot be made or reached.
    InvalidInputError
        If `BARLAKE_OPERATIONS_URL` is no address of a PostgreSQL database.
    """
    return Operations(open_engine(operations_place(settings)), settings)


class Operations:
    """Heartbeats, what is wanted of agents, logs, alerts and API keys of one lake; may be used by several threads."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.heartbeats = Heartbeats(engine)
        self.desired = DesiredStates(engine)
        self.logs = LogRecords(engine)
        self.api_keys = ApiKeys(engine)
        self.alerts = Alerts(engine, senders_of(settings), Redactor.of(settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()
