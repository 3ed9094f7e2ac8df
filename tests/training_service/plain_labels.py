"""Labels said again in plain Python, one bar at a time: what the fast ones are compared with."""

from __future__ import annotations

import datetime as dt
import math
import statistics
from dataclasses import dataclass

import polars as pl

from training_service.targets import Target, TargetSpec, Task

MINUTE = dt.timedelta(minutes=1)
Label = tuple[float | None, dt.datetime | None]
NOTHING: Label = (None, None)


@dataclass(frozen=True)
class PlainBars:
    """Bars of one symbol as dictionaries, and the closes of their sessions."""

    session: dict[dt.datetime, dt.date]
    close: dict[dt.datetime, float]
    session_close: dict[dt.date, dt.datetime]
    extended_close: dict[dt.date, dt.datetime]

    @classmethod
    def of(cls, bars: pl.DataFrame, closes: pl.DataFrame) -> PlainBars:
        return cls(
            dict(zip(bars["timestamp"], bars["session"], strict=True)),
            dict(zip(bars["timestamp"], bars["close"], strict=True)),
            dict(zip(closes["session"], closes["close"], strict=True)),
            dict(zip(closes["session"], closes["post_close"], strict=True)),
        )

    def is_bar_of(self, moment: dt.datetime, session: dt.date) -> bool:
        return self.session.get(moment) == session

    def log_return(self, start: dt.datetime, end: dt.datetime) -> float:
        return math.log(self.close[end] / self.close[start])

    def volatility(self, moment: dt.datetime, window: int) -> float | None:
        """Deviation of the last one-minute returns known at the end of a bar."""
        returns = [
            self.log_return(one - MINUTE, one)
            for one in self.close
            if one <= moment and self.is_bar_of(one - MINUTE, self.session[one])
        ][-window:]
        return statistics.stdev(returns) if len(returns) == window else None

    def next_close(self, moment: dt.datetime) -> dt.datetime:
        session = self.session[moment]
        close = self.session_close[session]
        return close if moment < close else self.extended_close[session]

    def label(self, start: dt.datetime, spec: TargetSpec) -> Label:
        session = self.session[start]
        last = self.session_close[session] - MINUTE if spec.horizon is None else start + spec.horizon * MINUTE
        steps = range(1, int((last - start) / MINUTE) + 1)
        if not steps or (spec.target is Target.TRIPLE_BARRIER and last >= self.next_close(start)):
            return NOTHING
        held = [self.is_bar_of(start + ahead * MINUTE, session) for ahead in steps]
        scale = 1.0
        if spec.target in {Target.SCALED_RETURN, Target.TRIPLE_BARRIER}:
            volatility = self.volatility(start, int(spec.parameters["volatility_window"]))
            if not volatility:
                return NOTHING
            scale = volatility * math.sqrt(len(steps))
        if spec.target is Target.TRIPLE_BARRIER:
            for ahead, is_held in zip(steps, held, strict=True):
                moment = start + ahead * MINUTE
                if not is_held:
                    return NOTHING
                moved = self.log_return(start, moment)
                if moved >= spec.parameters["upper"] * scale or moved <= -spec.parameters["lower"] * scale:
                    return self.worth(start, moment, 1.0, spec)
        if not (all(held) if spec.horizon is not None else held[-1]):
            return NOTHING
        return self.worth(start, last, scale, spec)

    def worth(self, start: dt.datetime, end: dt.datetime, scale: float, spec: TargetSpec) -> Label:
        value = self.log_return(start, end)
        if spec.target is Target.SCALED_RETURN:
            value /= scale
        if spec.task is Task.CLASSIFICATION:
            value = float(value > spec.parameters.get("threshold", 0.0))
        return value, end + MINUTE
