"""The page of features, written from what is declared: `python -m feature_service.reference > docs/features.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from feature_service.declare import Feature
from feature_service.sets import FEATURE_SETS, FeatureSet

__all__ = ["features_page"]

_HEAD = """# Features

Written by `python -m feature_service.reference` from the docstrings; change those.

A feature is a column computed only from bars known by then: the row of a bar may be used once that bar is
complete, at `timestamp` + 1 minute. Each is computed over the continuous history of one symbol, of regular hours
unless asked otherwise, and never begins anew with a session or a file, but for those that say so. Windows count
bars, not minutes: a minute without a bar is no row and shifts nothing else. What has no value (the warm-up, zero
over zero) is null; there is no NaN and no infinity. Tables hold features as float32, prices as float64.

A version is the hash of parameters, feed, hours and code. Bars that are unchanged are not computed again.
"""


def features_page() -> str:
    """The whole page as Markdown, ending with one line break."""
    return "\n".join([_HEAD, *(_set_section(one) for one in FEATURE_SETS.values())]).rstrip() + "\n"


def _set_section(feature_set: FeatureSet) -> str:
    lines = [f"## Set `{feature_set.name}`: {len(feature_set.features)} features", ""]
    lines += [
        "`history` is how many bars (or sessions) must lie before a row for it to have a value.",
        "",
        "| name | family | unit | history | what |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(one) for one in feature_set.features]
    lines += ["", "## Formulas", ""]
    lines += _formulas(feature_set.features)
    return "\n".join(lines)


def _row(one: Feature) -> str:
    history = f"{one.history_sessions} session" if one.history_sessions else str(one.history_bars)
    what = one.description.splitlines()[0].rstrip(".")
    return f"| `{one.name}` | {one.family} | {one.unit} | {history} | {what}{_parameters(one)} |"


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


def main() -> None:
    """Print the page."""
    sys.stdout.write(features_page())


if __name__ == "__main__":
    main()
