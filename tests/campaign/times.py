"""Which states of each symbol there were and when: what a watcher saw must be one that could be seen then."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.campaign.plain_lake import Content, Key
from tests.campaign.watchers import Log, Print, Sight, print_of


class WrongError(AssertionError):
    """The lake is, or was seen, in a state it must not be in."""


@dataclass
class State:
    """One content of one symbol: to be seen at the earliest from `since`, at the latest until `until`."""

    print: Print
    since: float
    until: float = float("inf")


@dataclass
class Times:
    """The states of each symbol in their order, and which of them each publication was sure to show."""

    states: dict[Key, list[State]] = field(default_factory=dict)
    published: list[tuple[float, dict[Key, int]]] = field(default_factory=list)

    def announce(self, contents: list[Content]) -> list[dict[Key, int]]:
        """From now on these contents may be seen, one after the other; the place of each symbol's state in each."""
        now, places = time.monotonic(), []
        for content in contents:
            for key, rows in content.items():
                states, seen = self.states.setdefault(key, [State(print_of({}), 0)]), print_of(rows)
                if seen != states[-1].print:
                    states.append(State(seen, now))
            places.append({key: len(states) - 1 for key, states in self.states.items()})
        return places

    def reached(self, places: dict[Key, int]) -> None:
        """Whoever begins to read after this instant meets none of the states before these."""
        now = time.monotonic()
        for key, place in places.items():
            for state in self.states[key][:place]:
                state.until = min(state.until, now)

    def publish(self) -> None:
        """Whoever opens the catalogue after this instant meets the newest states."""
        self.published.append((time.monotonic(), {key: len(states) - 1 for key, states in self.states.items()}))

    def judge_all(self, log: Log) -> None:
        """No reader goes back in time, and one connection shows one state."""
        newest: dict[Key, int] = {}
        held: dict[tuple[int, Key], Print] = {}
        for sight in log.sights:
            newest[sight.key] = self.judge(sight, newest.get(sight.key, 0))
            if sight.connection and held.setdefault((sight.connection, sight.key), sight.seen) != sight.seen:
                raise WrongError(f"{sight} is not what the same connection showed before")

    def judge(self, sight: Sight, oldest: int = 0) -> int:
        """Which state it was, not before the oldest; it must have been a possible one at that time."""
        states = self.states.get(sight.key, [])
        shown = [places for since, places in self.published if since < sight.opened]
        if shown and sight.who != "python":
            oldest = max(oldest, shown[-1].get(sight.key, 0))
        for index, state in enumerate(states):
            is_in_time = state.since <= sight.until and (sight.who != "python" or state.until >= sight.opened)
            if index >= oldest and state.print == sight.seen and is_in_time:
                return index
        held = [index for index, state in enumerate(states) if state.print == sight.seen]
        raise WrongError(f"{sight}, state {held or 'unknown'} of {len(states)}, could not be seen then; {oldest} could")
