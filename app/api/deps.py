"""What routes ask for, as types: the lake, the queue, the operations database, settings, and who asks.

`Reader` and `Operator` hand a route its caller and refuse those whose role is too small. A route that names neither
is guarded all the same: `app.api.main` asks for a reader where something is read, for an operator where it is changed.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from app.api.access import Caller, operator, reader
from app.api.house import House
from app.jobs.queue import JobQueue
from app.operations import Operations
from barlake.lake import Lake
from barlake.settings import Settings

__all__ = ["HouseDep", "LakeDep", "OperationsDep", "Operator", "QueueDep", "Reader", "SettingsDep", "house_of"]


def house_of(connection: HTTPConnection) -> House:
    """The parts that this service has opened."""
    house: House = connection.app.state.house
    return house


async def _house(connection: HTTPConnection) -> House:
    return house_of(connection)


async def _lake(connection: HTTPConnection) -> Lake:
    return house_of(connection).lake


async def _queue(connection: HTTPConnection) -> JobQueue:
    return house_of(connection).queue


async def _operations(connection: HTTPConnection) -> Operations:
    return house_of(connection).operations


async def _settings(connection: HTTPConnection) -> Settings:
    return house_of(connection).settings


HouseDep = Annotated[House, Depends(_house)]
LakeDep = Annotated[Lake, Depends(_lake)]
QueueDep = Annotated[JobQueue, Depends(_queue)]
OperationsDep = Annotated[Operations, Depends(_operations)]
SettingsDep = Annotated[Settings, Depends(_settings)]
Reader = Annotated[Caller, Depends(reader)]
Operator = Annotated[Caller, Depends(operator)]
