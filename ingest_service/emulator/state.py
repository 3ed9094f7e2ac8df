"""What a running emulator remembers between requests."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping
from email.utils import format_datetime

from barlake.sessions import Calendar
from ingest_service.emulator.accounts import Account
from ingest_service.emulator.clock import VirtualClock
from ingest_service.emulator.config import EmulatorConfig
from ingest_service.emulator.corporate_actions import ActionBook
from ingest_service.emulator.fault_rules import FaultRule, FaultRules
from ingest_service.emulator.faults import Fault, FaultInjector
from ingest_service.emulator.folder import FolderBars
from ingest_service.emulator.limiter import Budget, LimitClock, limiter_of
from ingest_service.emulator.news import NewsDesk
from ingest_service.emulator.page_cache import PageCache
from ingest_service.emulator.query import RefusedError
from ingest_service.emulator.revisions import RevisionBook
from ingest_service.emulator.round_the_clock import RoundTheClockBars
from ingest_service.emulator.source import BarSource
from ingest_service.emulator.special import SPECIAL_ACTIONS, SPECIAL_SYMBOLS, SpecialBars
from ingest_service.emulator.stream_faults import StreamFaults
from ingest_service.emulator.synthetic import SyntheticBars
from ingest_service.emulator.view import Views

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
        self.clock = VirtualClock(config.now, speed=config.speed, file=config.clock)
        made_up = RoundTheClockBars(seed=config.seed)
        self.source: BarSource
        crypto: BarSource = made_up
        if config.bars is None:
            self.symbols = tuple(sorted({*config.symbols, *SPECIAL_SYMBOLS}))
            self.source = SpecialBars(SyntheticBars(self.symbols, seed=config.seed, calendar=calendar()))
            self.crypto_symbols = made_up.symbols
        else:
            folder = FolderBars(config.bars, cached_rows=config.cached_rows)
            self.symbols = tuple(symbol for symbol in folder.symbols if "/" not in symbol)
            self.source = folder
            pairs = tuple(symbol for symbol in folder.symbols if "/" in symbol)
            self.crypto_symbols, crypto = (pairs, folder) if pairs else (made_up.symbols, made_up)
        self.actions = ActionBook(config.actions, SPECIAL_ACTIONS if config.bars is None else {})
        self.revisions = RevisionBook(share=config.revised_share, seed=config.seed)
        self.views = Views(
            self.source, crypto, made_up, actions=self.actions, revisions=self.revisions, calendar=calendar
        )
        self.news = NewsDesk(self.symbols or self.crypto_symbols, seed=config.seed)
        self.pages = PageCache(config.cached_page_bytes)
        self.log: deque[dict[str, object]] = deque(maxlen=_LOGGED_REQUESTS)
        self._limiter = limiter_of(
            config.limiter,
            config.requests_per_window,
            config.window_seconds,
            seconds=self.clock.seconds if config.limit_clock is LimitClock.MARKET else time.monotonic,
        )
        self.arm(config.faults, period=config.fault_period, seed=config.seed)
        self.rules = FaultRules()
        self.stream_faults = StreamFaults()
        self._bodies = itertools.cycle(("json", "html"))
        self._request_numbers = itertools.count(1)

    def arm(self, faults: tuple[Fault, ...], *, period: int, seed: int) -> None:
        """Inject these faults from now on, from the beginning of their sequence."""
        self.faults = FaultInjector(faults, period=period, seed=seed, missing_share=self.config.missing_share)

    def fault_of(self, path: str, identity: str, parameters: Mapping[str, str]) -> FaultRule | None:
        """What goes wrong with a request: an ordered fault first, else one by chance if it asks for bars."""
        rule = self.rules.take(path, parameters.get("symbols", ""))
        if rule is not None or not path.endswith("/bars"):
            return rule
        fault = self.faults.next(identity, continues="page_token" in parameters)
        if fault is None:
            return None
        if fault is Fault.SERVER_ERROR:
            return FaultRule(fault=fault, status=500, body=next(self._bodies))
        return FaultRule(fault=fault)

    def reset(self) -> None:
        """Back to how it started: clock, budgets, faults, actions, revisions; the log is empty."""
        self.clock.restart()
        self.log.clear()
        self._limiter.reset()
        self.actions.reset()
        self.revisions.clear()
        self.pages.clear()
        self.rules = FaultRules()
        self.stream_faults.clear()
        self._bodies = itertools.cycle(("json", "html"))
        self.arm(self.config.faults, period=self.config.fault_period, seed=self.config.seed)

    def basic_headers(self, now: dt.datetime | None = None) -> dict[str, str]:
        """`Date` by the emulator's clock, and a request id that counts up.

        All of one answer's instants must be one: at a great speed two readings of the clock are seconds apart.
        """
        date = format_datetime((now or self.clock.now()).replace(microsecond=0), usegmt=True)
        return {"Date": date, "X-Request-ID": f"{next(self._request_numbers):032x}"}

    def account(self, key_id: str | None, secret_key: str | None) -> Account:
        """Whose request it is. Raises `RefusedError`: 401 if a header is missing, else as configured if it is wrong."""
        if not key_id or not secret_key:
            raise RefusedError(401, {"message": "authentication headers are missing"})
        found = self.config.account(key_id, secret_key)
        if found is None:
            raise RefusedError(self.config.wrong_key_status, {"message": "forbidden."})
        return found

    def take(self, surface: str, account: Account) -> Budget:
        """Spend one request of an account's budget on the data or the trading paths."""
        limit = self.config.requests_per_window * account.plan.budget
        return self._limiter.take(f"{surface}/{account.key_id}", limit)

    def limit_headers(self, budget: Budget, now: dt.datetime) -> dict[str, str]:
        """`X-RateLimit-*`; the reset is in whole seconds of the emulator's clock, never too early."""
        reset = now + dt.timedelta(seconds=budget.reset_in_seconds)
        return {
            "X-RateLimit-Limit": str(budget.limit),
            "X-RateLimit-Remaining": str(budget.remaining),
            "X-RateLimit-Reset": str(-int(-reset.timestamp() // 1)),
        }
