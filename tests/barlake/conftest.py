"""A lake for one test, and a clock that stands still until it is moved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from barlake.lake import Lake
from barlake.testing import temporary_lake


class Clock:
    """The present instant, as a test wants it."""

    def __init__(self, moment: dt.datetime) -> None:
        self.moment = moment

    def __call__(self) -> dt.datetime:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock(dt.datetime(2024, 3, 15, 12, tzinfo=dt.UTC))


@pytest.fixture
def lake(clock: Clock) -> Iterator[Lake]:
    with temporary_lake(now=clock) as lake:
        yield lake
