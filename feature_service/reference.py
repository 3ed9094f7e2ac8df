"""The page of features, written from what is declared: `python -m feature_service.reference > docs/features.md`.

With the names of sets, or files that hold them, the page is about those: `python -m feature_service.reference mine.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from barlake.errors import BarlakeError
from barlake.keys import Timeframe
from feature_service.declare import Feature
from feature_service.sets import CORE, FULL, FeatureSet, find_feature_set

__all__ = ["features_page", "main"]

_HEAD = """# Features

Written by `python -m feature_service.reference` from the docstrings; change those. One of your own:
[add a feature](add-a-feature.md).

A feature is a column computed only from what is known by then: the row of a bar may be used once that bar is
complete, at `timestamp` + 1 minute. Each is computed over the continuous history of one symbol, of regular hours
unless asked otherwise, and never begins anew with a session or a file, but for those that say so. Windows count
bars, not minutes: a minute without a bar is no row and shifts nothing else. What has no value (the warm-up, zero
over zero) is null; there is no NaN and no infinity. Tables hold features as float32, prices as float64.

A version is the hash of parameters, feed, hours, adjustment, context symbol and code. What is unchanged is not
computed again.
"""

_LONGER = """A feature whose history says `5Min`, `15Min`, `1Hour` or `1Day` is computed over whole bars of it; a
row holds the value of the last one that is over at its minute. Buckets lie on the clock and stop at the opening and
the close; a session counts from the next one on. Columns of the context symbol hold its last complete bar, up to a
week old.
"""


def features_page(sets: Sequence[FeatureSet] = (CORE, FULL)) -> str:
    """The page as Markdown: a table of each set, then every formula once. Ends with one line break."""
    sections, described = [_HEAD], set[str]()
    for one in sets:
        fresh = [each for each in one.features if each.name not in described]
        sections += _set_section(one, fresh)
        described |= {each.name for each in fresh}
    every = {each.name: each for one in sets for each in one.features}
    sections += ["## Formulas", "", *_formulas(every.values())]
    return "\n".join(sections).rstrip() + "\n"


def _set_section(feature_set: FeatureSet, fresh: Sequence[Feature]) -> list[str]:
    lines = [f"## Set `{feature_set.name}`: {len(feature_set.features)} features", ""]
    if len(fresh) < len(feature_set.features):
        lines += [f"The {len(feature_set.features) - len(fresh)} above, and these.", ""]
    if feature_set.context is not None:
        lines += [f"The context symbol is {feature_set.context} unless a build names another one.", ""]
    if any(one.timeframe is not Timeframe.MINUTE for one in fresh):
        lines += [_LONGER]
    lines += [
        "`history` is how many bars (or sessions) must lie before a row for it to have a value.",
        "",
        "| name | family | unit | history | what |",
        "|---|---|---|---|---|",
    ]
    return [*lines, *(_row(one) for one in fresh), ""]


def _row(one: Feature) -> str:
    what = one.description.splitlines()[0].rstrip(".")
    return f"| `{one.name}` | {one.family} | {one.unit} | {_history(one)} | {what}{_parameters(one)} |"


def _history(one: Feature) -> str:
    if one.history_sessions:
        return f"{one.history_sessions} session{'s' * (one.history_sessions > 1)}"
    return f"{one.history_bars}{'' if one.timeframe is Timeframe.MINUTE else f' of {one.timeframe.value}'}"


def _parameters(one: Feature) -> str:
    given = ", ".join(f"{name} {value}" for name, value in one.parameters.items())
    return f" ({given})" if given else ""


def _formulas(features: Iterable[Feature]) -> Iterable[str]:
    names: dict[str, list[str]] = {}
    described = {}
    for one in features:
        where = f"{one.family}.{one.function.__name__}"
        names.setdefault(where, []).append(f"`{one.name}`")
        described[where] = one.description
    for where, text in described.items():
        yield f"### {where}: {', '.join(names[where])}"
        yield ""
        for line in text.splitlines():
            # Each of formula and source begins a paragraph.
            yield from ("", line) if line.startswith("Source:") else (line,)
        yield ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the page of the named sets, or of those of the house. Exit code 1 when one is not found."""
    names = sys.argv[1:] if arguments is None else arguments
    try:
        sets = [find_feature_set(name) for name in names]
    except BarlakeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(features_page(sets) if sets else features_page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
