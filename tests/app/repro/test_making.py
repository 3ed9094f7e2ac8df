"""One thing made again: where it differs, the link that changed is named, and no other."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from app.repro.making import repeated
from app.repro.report import Cause, Link, Made, ReproReport, Step
from barlake.errors import FormatError, InvalidInputError, NotFoundError, StorageError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from barlake.scratch import ScratchLake
from barlake.testing import temporary_lake

THEN = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
STORED = Made({"table": "aa", "model": "bb"}, {"bars": {"SPY": "1111"}}, "c0de", {"polars": "2.1", "numpy": "2.5"}, 7)


@pytest.fixture
def lake() -> Iterator[Lake]:
    with temporary_lake() as empty:
        yield empty


def made_again(lake: Lake, make: Callable[[ScratchLake], Made], *, damage: tuple[str, ...] = ()) -> Step:
    return repeated(lake, "model x", STORED, make, fresh=ArtifactKind.MODEL, made_at=THEN, damage=damage)


def links(step: Step) -> list[Link]:
    return [cause.link for cause in step.causes]


def test_the_same_bits_from_the_same_links_are_the_same(lake: Lake) -> None:
    assert made_again(lake, lambda _: STORED) == Step("model x", same=True)


@pytest.mark.parametrize(
    ("changed", "link", "what"),
    [
        ({"inputs": {"bars": {"SPY": "2222"}}}, Link.BARS, "bars.SPY was 1111, now it is 2222"),
        ({"inputs": {"bars": {"SPY": "1111", "QQQ": "3"}}}, Link.BARS, "bars.QQQ was None, now it is 3"),
        ({"inputs": {"bars": {"SPY": "1111"}, "strategy": "ab"}}, Link.CODE, "strategy was None, now it is ab"),
        ({"code": "beef"}, Link.CODE, "its code had hash c0de, today's has beef"),
        ({"libraries": {"polars": "2.2", "numpy": "2.5"}}, Link.LIBRARY, "polars was 2.1, installed is 2.2"),
        ({"libraries": {"polars": "2.1"}}, Link.LIBRARY, "numpy was 2.5, installed is none"),
        ({"seed": 8}, Link.SEED, "the seed was 7, now it is 8"),
    ],
)
def test_a_link_that_changed_is_named_whether_or_not_it_changed_the_bits(
    lake: Lake, changed: dict[str, object], link: Link, what: str
) -> None:
    other = replace(STORED, **changed)  # type: ignore[arg-type]  # values vary in type
    without_effect = made_again(lake, lambda _: other)
    assert without_effect.same is True
    assert without_effect.causes == (Cause(link, what),)
    differing = made_again(lake, lambda _: replace(other, parts={"table": "aa", "model": "XX"}))
    assert (differing.same, differing.differs, differing.causes) == (False, ("model",), (Cause(link, what),))


def test_a_library_that_had_no_part_in_the_stored_one_is_no_link(lake: Lake) -> None:
    other = replace(STORED, libraries={**STORED.libraries, "lightgbm": "4.7"})
    assert made_again(lake, lambda _: other).causes == ()


def test_other_bits_from_unchanged_links_are_the_seed_if_they_differ_every_time(lake: Lake) -> None:
    draws = iter("123456")
    step = made_again(lake, lambda _: replace(STORED, parts={**STORED.parts, "model": next(draws)}))
    assert (step.same, step.differs, links(step)) == (False, ("model",), [Link.SEED])


def test_other_bits_from_unchanged_links_are_the_machine_if_they_are_the_same_every_time(lake: Lake) -> None:
    step = made_again(lake, lambda _: replace(STORED, parts={**STORED.parts, "model": "other"}))
    assert (step.same, links(step)) == (False, [Link.MACHINE])


def test_a_part_that_is_missing_or_new_is_a_difference(lake: Lake) -> None:
    step = made_again(lake, lambda _: replace(STORED, parts={"table": "aa", "card": "cc"}))
    assert step.differs == ("card", "model")


def test_when_the_bars_have_changed_it_is_made_from_those_of_its_time(lake: Lake) -> None:
    def make(scratch: ScratchLake) -> Made:
        return STORED if scratch.moment == THEN else replace(STORED, inputs={"bars": {"SPY": "2222"}}, parts={})

    step = made_again(lake, make)
    assert step.same is True
    assert step.note == "its bars have changed since: made from those of 2024-01-02 00:00:00Z"


def test_when_those_bars_are_gone_the_link_is_the_bars(lake: Lake) -> None:
    def make(scratch: ScratchLake) -> Made:
        if scratch.moment is not None:
            raise NotFoundError("vacuumed")
        return replace(STORED, inputs={"bars": {"SPY": "2222"}}, parts={"table": "cc", "model": "dd"})

    step = made_again(lake, make)
    assert (step.same, links(step)) == (False, [Link.BARS])
    assert "not in the lake any more" in step.note


def test_a_stored_file_that_was_changed_is_named_first(lake: Lake) -> None:
    step = made_again(lake, lambda _: STORED, damage=("model.joblib is not the file that was written",))
    assert (step.same, links(step)) == (False, [Link.FILES])


@pytest.mark.parametrize(
    ("error", "link"),
    [
        (NotFoundError("no bars"), Link.BARS),
        (FormatError("tampered"), Link.FILES),
        (InvalidInputError("no such set"), Link.CODE),
    ],
)
def test_what_cannot_be_made_says_why(lake: Lake, error: Exception, link: Link) -> None:
    def make(_: ScratchLake) -> Made:
        raise error

    step = made_again(lake, make)
    assert (step.same, links(step), step.note) == (None, [link], str(error))


def test_a_full_disk_is_no_verdict(lake: Lake) -> None:
    def make(_: ScratchLake) -> Made:
        raise StorageError("no space")

    with pytest.raises(StorageError):
        made_again(lake, make)


def test_the_verdict_names_the_first_step_that_is_not_the_same() -> None:
    steps = (
        Step("features", same=True, causes=(Cause(Link.CODE, "c"),)),
        Step("model x", same=False, causes=(Cause(Link.LIBRARY, "l"), Cause(Link.LIBRARY, "m"))),
        Step("run y", same=None),
    )
    report = ReproReport("y", "run", steps)
    assert not report.same
    assert report.verdict == "run y: model x differs; the link is library."
    assert ReproReport("y", "run", steps[:1]).verdict == "run y: made again from the bars, the same to the bit."
