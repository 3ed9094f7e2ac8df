"""One thing made again beside the lake it lies in, and held against what is stored."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from app.repro.report import Cause, Link, Made, Step, changed_links
from barlake.errors import BarlakeError, FormatError, InvalidInputError, LookAheadError, NotFoundError
from barlake.feature_tables import FeatureTables
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from barlake.scratch import ScratchLake

__all__ = ["repeated"]

Make = Callable[[ScratchLake], Made]


def repeated(
    lake: Lake,
    what: str,
    stored: Made,
    make: Make,
    *,
    fresh: ArtifactKind,
    made_at: dt.datetime,
    damage: Sequence[str] = (),
    tables: FeatureTables | None = None,
) -> Step:
    """Make something again from the bars of now, or else those of its own time, and compare.

    Parameters
    ----------
    make
        Makes it in the lake it is handed, and says what came out.
    made_at
        When the stored one was made.
    damage
        What is wrong with the stored files themselves.
    tables
        Feature tables that it may be made from.
    """
    damaged = [Cause(Link.FILES, text) for text in damage]
    with _scratch_lakes(lake, fresh, tables) as scratch:
        try:
            made, note = _made(scratch, stored, make, made_at)
        except (NotFoundError, FormatError, InvalidInputError, LookAheadError) as error:
            return Step(what, None, causes=(*damaged, _why_not(error)), note=str(error))
        differs = stored.differs_from(made)
        causes = [*damaged, *changed_links(stored, made)]
        if differs and not causes:
            causes = [_of_chance(made, make(scratch(None)))]
    return Step(what, not differs and not damaged, tuple(differs), tuple(causes), note)


def _made(
    scratch: Callable[[dt.datetime | None], ScratchLake], stored: Made, make: Make, made_at: dt.datetime
) -> tuple[Made, str]:
    """What comes out of the bars of now if they are still those; otherwise of the bars of its time."""
    refused: BarlakeError | None = None
    now: Made | None = None
    try:
        now = make(scratch(None))
        if now.data == stored.data:
            return now, ""
    except BarlakeError as error:
        refused = error
    with contextlib.suppress(BarlakeError):
        then = make(scratch(made_at))
        if then.data == stored.data:
            return then, f"its bars have changed since: made from those of {made_at:%Y-%m-%d %H:%M:%S}Z"
    if now is None:
        assert refused is not None  # noqa: S101 - one of the two is there
        raise refused
    return now, "made from the bars of now: those of its time are not in the lake any more"


def _why_not(error: BarlakeError) -> Cause:
    """The link that stands in the way of making something at all."""
    if isinstance(error, NotFoundError):
        return Cause(Link.BARS, "what it was made from is not in the lake any more")
    if isinstance(error, FormatError):
        return Cause(Link.FILES, "what it is made from is not what was written")
    return Cause(Link.CODE, "today's code refuses what it was made from")


def _of_chance(once: Made, twice: Made) -> Cause:
    """Why the same step gives other bits although no link has changed."""
    differs = ", ".join(once.differs_from(twice))
    if differs:
        what = f"of two makings here {differs} differ: something draws what seed {once.seed} does not rule"
        return Cause(Link.SEED, what)
    what = "two makings here are the same: another processor or number of threads made the stored one"
    return Cause(Link.MACHINE, what)


@contextlib.contextmanager
def _scratch_lakes(
    lake: Lake, fresh: ArtifactKind, tables: FeatureTables | None
) -> Iterator[Callable[[dt.datetime | None], ScratchLake]]:
    """A maker of empty lakes beside the lake, now or at a moment; their folders go when the block ends."""
    with tempfile.TemporaryDirectory(prefix="barlake-repro-") as folder:
        numbers = itertools.count()

        def scratch(moment: dt.datetime | None) -> ScratchLake:
            own = Path(folder) / str(next(numbers))
            return ScratchLake(lake, own, fresh=fresh, moment=moment, tables=tables if moment is None else None)

        yield scratch
