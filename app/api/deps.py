"""What routes ask for, as types: the lake, the queue and the operations database of the service, or all its parts."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from app.api.house import House
from app.jobs.queue import JobQueue
from app.operations import Operations
from barlake.lake import Lake

__all__ = ["HouseDep", "LakeDep", "OperationsDep", "QueueDep"]


async def _house(connection: HTTPConnection) -> House:
    house: House = connection.app.state.house
    return house


HouseDep = Annotated[House, Depends(_house)]


async def _lake(house: HouseDep) -> Lake:
    return house.lake


async def _queue(house: HouseDep) -> JobQueue:
    return house.queue


async def _operations(house: HouseDep) -> Operations:
    return house.operations


LakeDep = Annotated[Lake, Depends(_lake)]
QueueDep = Annotated[JobQueue, Depends(_queue)]
OperationsDep = Annotated[Operations, Depends(_operations)]
