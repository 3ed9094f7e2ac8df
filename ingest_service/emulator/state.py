"""What a running emulator remembers between requests."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import deque
from collections.abc import Callable
from email.utils import format_datetime

from barlake.sessions import Calendar
from ingest_service.emulator.clock import VirtualClock
from ingest_service.emulator.config import EmulatorConfig
from ingest_service.emulator.corporate_actions import ActionBook
from ingest_service.emulator.faults import Fault, FaultInjector
from ingest_service.emulator.folder import FolderBars
from ingest_service.emulator.limiter import Budget, FixedWindowLimiter
from ingest_service.emulator.query import RefusedError
from ingest_service.emulator.source import BarSource
from ingest_service.emulator.synthetic import SyntheticBars

__all__ = ["EmulatorState"]

_LOGGED_REQUESTS = 10_000


class EmulatorState:
    """Bars, clock, budgets, faults and the log of one emulator.

    Parameters
    ----------
    config
        What to serve.
    calendar
        Called when sessions are first needed; building the default one takes a moment.
    """

    def __init__(self, config: EmulatorConfig, calendar: Callable[[], Calendar]) -> None:
        self.config = config
        self.calendar = calendar
        self.source: BarSource = (
            SyntheticBars(config.symbols, seed=config.seed, calendar=calendar())
            if config.bars is None
            else FolderBars(config.bars, cached_rows=config.cached_rows)
        )
        self.actions = ActionBook(config.actions)
        self.clock = VirtualClock(config.now)
        self.log: deque[dict[str, object]] = deque(maxlen=_LOGGED_REQUESTS)
        self._limiter = FixedWindowLimiter(config.requests_per_window, config.window_seconds)
        self.arm(config.faults, period=config.fault_period, seed=config.seed)
        self._request_numbers = itertools.count(1)

    def arm(self, faults: tuple[Fault, ...], *, period: int, seed: int) -> None:
        """Inject these faults from now on, from the beginning of their sequence."""
        self.faults = FaultInjector(faults, period=period, seed=seed, missing_share=self.config.missing_share)

    def reset(self) -> None:
        """Back to how it started: clock, budgets, faults; the log is empty."""
        self.clock.set(self.config.now)
        self.log.clear()
        self._limiter.reset()
        self.arm(self.config.faults, period=self.config.fault_period, seed=self.config.seed)

    def basic_headers(self) -> dict[str, str]:
        """`Date` by the emulator's clock, and a request id that counts up."""
        date = format_datetime(self.clock.now().replace(microsecond=0), usegmt=True)
        return {"Date": date, "X-Request-ID": f"{next(self._request_numbers):032x}"}

    def check_credentials(self, key_id: str | None, secret_key: str | None) -> None:
        """Raise `RefusedError`: 401 if a header is missing, 403 if the pair is wrong."""
        if not key_id or not secret_key:
            raise RefusedError(401, {"message": "authentication headers are missing"})
        if (key_id, secret_key) != (self.config.key_id, self.config.secret_key):
            raise RefusedError(403, {"message": "forbidden."})

    def take(self, surface: str) -> Budget:
        """Spend one request of the key's budget on the data or the trading paths."""
        return self._limiter.take(f"{surface}/{self.config.key_id}")

    def limit_headers(self, budget: Budget) -> dict[str, str]:
        """`X-RateLimit-*`; the reset is in whole seconds of the emulator's clock, never too early."""
        reset = self.clock.now() + dt.timedelta(seconds=budget.reset_in_seconds)
        return {
            "X-RateLimit-Limit": str(budget.limit),
            "X-RateLimit-Remaining": str(budget.remaining),
            "X-RateLimit-Reset": str(-int(-reset.timestamp() // 1)),
        }
