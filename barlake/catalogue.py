"""What the published catalogue shows of a lake: its files, small tables and feature views."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Any

import polars as pl

from barlake.actions import counting
from barlake.adjust import factor_buckets
from barlake.artifacts import Artifact, canonical_json
from barlake.coverage import coverage, gaps_of_lives
from barlake.errors import FormatError, StorageError
from barlake.factors import current_factors
from barlake.feature_catalogue import feature_contents
from barlake.group_records import commits_since, counting_paths
from barlake.inspection import current_findings
from barlake.keys import ArtifactKind
from barlake.layout import BARS, RECORD_DATASETS, REVISIONS
from barlake.past import calendar_name
from barlake.publish import Catalogue, Made, Minutes, publish, publish_minutes, publish_parts
from barlake.published import Published, published
from barlake.run_tables import run_views

if TYPE_CHECKING:
    from barlake.lake import Lake

__all__ = ["action_table", "is_current", "publish_lake", "publish_made", "publish_session", "refresh"]

_ROUNDS = 20
_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


def publish_lake(lake: Lake) -> None:
    """Bring the catalogue of a lake up to its manifest.

    The files that the old catalogue names and the new one does not are kept for a whole grace from here on,
    however long ago they were replaced: somebody may have opened the old one a moment ago.
    """

    def contents() -> Catalogue:
        catalogue = _gather(lake)
        if lake.catalogue_path.exists():
            lake.manifest.retire_files(after=_shown(lake) or _NEVER, now=lake.now())
        return catalogue

    publish(lake.catalogue_path, contents)


def publish_session(lake: Lake, feed: str, session: dt.date) -> None:
    """Show the bars of now at once; of the tables, only what is said of one feed's session and of the commits.

    It costs what a session of all symbols costs, however much is held. The next `publish_lake` does the rest.
    """
    found = _published(lake)
    if found is None or found.root != lake.store.name or found.last_commit is None:
        publish_lake(lake)
        return

    def contents() -> Minutes:
        shown = _shown(lake) or _NEVER
        for _ in range(_ROUNDS):
            last_commit = lake.manifest.last_commit_at()
            minutes = _minutes(lake, feed, session, shown, last_commit)
            if lake.manifest.last_commit_at() == last_commit:
                break
        lake.manifest.retire_files(after=shown, now=lake.now())
        return minutes

    publish_minutes(lake.catalogue_path, contents)


def publish_made(lake: Lake) -> None:
    """Show what was made of the bars, as it is now; a catalogue that is behind its bars is published whole.

    It costs what the artifacts and trials cost to list, however many bars are held.
    """
    if is_current(lake):
        publish_parts(lake.catalogue_path, lambda: _made(lake))
    else:
        publish_lake(lake)


def _minutes(lake: Lake, feed: str, session: dt.date, shown: dt.datetime, last_commit: dt.datetime | None) -> Minutes:
    beyond = session + dt.timedelta(days=1)
    held = lake.manifest.held(feed=feed, start=session, end=beyond)
    answers = lake.manifest.answers(feed=feed, start=session, end=beyond)
    return Minutes(
        last_commit=last_commit,
        bars=[lake.store.address(path) for path in counting_paths(lake.manifest, BARS)],
        revisions=[lake.store.address(path) for path in counting_paths(lake.manifest, REVISIONS)],
        feed=feed,
        calendar=calendar_name(feed),
        session=session,
        coverage=coverage(held, answers, lake.calendar),
        commits=commits_since(lake.manifest, shown),
        filesystem=lake.store.filesystem(),
    )


def is_current(lake: Lake) -> bool:
    """Whether the catalogue is there, is of this lake, and shows its newest commit in every table."""
    found = published(lake.catalogue_path)
    last_commit = lake.manifest.last_commit_at()
    return found is not None and found.is_whole and (found.root, found.last_commit) == (lake.store.name, last_commit)


def refresh(lake: Lake) -> dt.datetime | None:
    """Publish a catalogue that is behind its lake again, if that is possible; the newest commit it shows then.

    Returns
    -------
    None when there is no catalogue that anybody could have opened.
    """
    if not lake.catalogue_path.exists():
        return None
    if _shown(lake) != lake.manifest.last_commit_at():
        with contextlib.suppress(StorageError):  # a full disk
            publish_lake(lake)
    return _shown(lake) or _NEVER


def _shown(lake: Lake) -> dt.datetime | None:
    """The newest commit that the catalogue shows; a damaged catalogue shows nothing."""
    found = _published(lake)
    return None if found is None else found.last_commit


def _published(lake: Lake) -> Published | None:
    with contextlib.suppress(FormatError):
        return published(lake.catalogue_path)
    return None


def _gather(lake: Lake) -> Catalogue:
    """Everything to publish, read from the manifest between two commits."""
    for _ in range(_ROUNDS):
        last_commit = lake.manifest.last_commit_at()
        found = _read(lake, last_commit)
        if lake.manifest.last_commit_at() == last_commit:
            break
    return found


def _read(lake: Lake, last_commit: dt.datetime | None) -> Catalogue:
    manifest = lake.manifest
    held, answers = manifest.held(), manifest.answers()
    factors = current_factors(lake.store, manifest, lake.calendar.frame, held=held, keep=True)
    of_features, views = feature_contents(lake.feature_tables)
    made = _made(lake)
    tables = {
        "sessions": lake.calendar.frame,
        "symbols": lake.symbols(),
        "coverage": coverage(held, answers, lake.calendar),
        "gaps": gaps_of_lives(held, answers, lake.calendar, now=lake.now()),
        "quality": current_findings(manifest),
        "corporate_actions": action_table(manifest.actions.statements()),
        "adjustment_factors": factors,
        "adjustment_buckets": factor_buckets(factors),
        "commits": manifest.commits(),
        "receipts": manifest.receipts(),
        "quarantine": manifest.quarantine(),
        **of_features,
        **made.tables,
    }
    return Catalogue(
        root=lake.store.name,
        last_commit=last_commit,
        bars=[lake.store.address(file.path) for file in manifest.files()],
        revisions=[lake.store.address(file.path) for file in manifest.files(dataset=REVISIONS)],
        records={
            name: [lake.store.address(file.path) for file in manifest.files(dataset=name)] for name in RECORD_DATASETS
        },
        tables=tables,
        views=[*views, *made.views],
        filesystem=lake.store.filesystem(),
    )


def _made(lake: Lake) -> Made:
    """What people made of the bars: artifacts, runs with their tables, trials and strategies."""
    runs = lake.artifacts.list(ArtifactKind.RUN)
    of_runs, views = run_views(runs)
    tables = {
        "models": _artifact_table(lake.artifacts.list(ArtifactKind.MODEL)),
        "runs": _artifact_table(runs),
        **of_runs,
        "sweeps": _artifact_table(lake.artifacts.list(ArtifactKind.SWEEP)),
        "trials": lake.trials.frame(),
        "strategies": lake.strategies.frame(),
    }
    return Made(tables, views)


def action_table(statements: pl.DataFrame) -> pl.DataFrame:
    """The same statements with `counts`: whether the statement is the one that is believed."""
    believed = counting(statements).select("source", "action_id", "known_at", pl.lit(value=True).alias("counts"))
    marked = statements.join(believed, on=["source", "action_id", "known_at"], how="left", maintain_order="left")
    counts = pl.col("counts").fill_null(value=False) & pl.col("superseded_at").is_null()
    return marked.with_columns(counts)


def _artifact_table(artifacts: list[Artifact]) -> pl.DataFrame:
    """id, created_at, and as JSON text what it was made from and what came out."""
    rows: list[tuple[Any, ...]] = [
        (
            one.id,
            one.created_at,
            canonical_json(one.parameters),
            canonical_json(one.inputs),
            canonical_json(one.results),
        )
        for one in artifacts
    ]
    schema = {
        "id": pl.String(), "created_at": pl.Datetime("us", "UTC"),
        "parameters": pl.String(), "inputs": pl.String(), "results": pl.String(),
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")
