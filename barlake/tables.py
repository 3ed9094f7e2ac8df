"""The manifest's SQL tables. What each column means is said here; `migrations/` makes them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = [
    "answers",
    "artifacts",
    "checked_sessions",
    "commits",
    "corporate_actions",
    "cursors",
    "files",
    "held_sessions",
    "lake",
    "metadata",
    "provisional_rows",
    "quality_findings",
    "quarantine",
    "receipts",
    "reference_closes",
    "strategies",
    "strategy_proofs",
    "superseded_answers",
    "trial_outcomes",
    "trials",
]


class UtcDateTime(TypeDecorator[dt.datetime]):
    """Aware instants in, aware UTC instants out, on databases with and without time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Instant as stored; a naive one is a programming error."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive instant {value!r} in the manifest")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Instant as read, in UTC."""
        if value is None:
            return None
        stored: dt.datetime = value
        return stored.replace(tzinfo=dt.UTC) if stored.tzinfo is None else stored.astimezone(dt.UTC)


class ForeignText(TypeDecorator[str]):
    """Text from outside, in which the sign for a NUL stands in the place of one: PostgreSQL holds none."""

    impl = Text
    cache_ok = True

    @property
    def python_type(self) -> type[str]:
        """What is read."""
        return str

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Text as stored, the same on both databases."""
        return None if value is None else value.replace("\0", "\N{SYMBOL FOR NULL}")


def _name(length: int) -> TypeEngine[str]:
    """Short text that sorts by code point on both databases; PostgreSQL checks no length."""
    return String(length).with_variant(Text(collation="C"), "postgresql")


metadata = MetaData()

lake = Table(
    "lake",
    metadata,
    Column("lake_id", _name(32), primary_key=True),  # one row on PostgreSQL: whose manifest this is
)

commits = Table(
    "commits",
    metadata,
    Column("commit_id", _name(32), primary_key=True),
    Column("committed_at", UtcDateTime, nullable=False),
    Column("source", _name(64), nullable=False),  # what wrote: import, alpaca, python ...
    Column("feed", _name(32)),
    Column("symbol", _name(32)),  # null: of several symbols of the feed
    Column("moment", UtcDateTime),  # `ingested_at` of its rows; a little before `committed_at`
    Column("dataset", _name(32), nullable=False, server_default="bars"),  # bars (and revisions), daily, news, macro
    Index("commits_by_moment", "feed", "symbol", "moment"),
    Index("commits_by_feed", "feed", "moment"),
    Index("commits_by_time", "committed_at"),
)

files = Table(
    "files",
    metadata,
    Column("path", _name(512), primary_key=True),  # relative to the lake's root
    Column("dataset", _name(32), nullable=False),
    Column("feed", _name(32), nullable=False),
    Column("symbol", _name(32), nullable=False),
    Column("period", _name(10), nullable=False),
    Column("period_start", Date, nullable=False),
    Column("period_end", Date, nullable=False),  # exclusive
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("first_timestamp", UtcDateTime, nullable=False),
    Column("last_timestamp", UtcDateTime, nullable=False),
    Column("commit_id", _name(32), nullable=False),
    Column("removed_at", UtcDateTime),  # null: the file counts
    Column("removed_by", _name(32)),  # the commit that replaced it
    Index("files_by_key", "dataset", "feed", "symbol", "period_start"),
)

held_sessions = Table(
    "held_sessions",
    metadata,
    Column("feed", _name(32), primary_key=True),
    Column("symbol", _name(32), primary_key=True),
    Column("session", Date, primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("regular_rows", Integer, nullable=False),
    Column("first_timestamp", UtcDateTime, nullable=False),
    Column("last_timestamp", UtcDateTime, nullable=False),
    Column("content_hash", _name(64), nullable=False),
    Column("commit_id", _name(32), nullable=False),
)

provisional_rows = Table(
    "provisional_rows",
    metadata,
    Column("feed", _name(32), primary_key=True),
    Column("symbol", _name(32), primary_key=True),
    Column("timestamp", UtcDateTime, primary_key=True),
    Column("session", Date, nullable=False),
    Column("rank", Integer, nullable=False),  # values of `RowRank`; a row that is not here is final
)

answers = Table(
    "answers",
    metadata,
    Column("feed", _name(32), primary_key=True),
    Column("symbol", _name(32), primary_key=True),
    Column("session", Date, primary_key=True),
    Column("status", _name(16), nullable=False),  # keys in `AnswerStatus`
    Column("attempts", Integer, nullable=False),
    Column("answered_at", UtcDateTime, nullable=False),
    Column("source", _name(64)),  # whose answer it is; null: an earlier release did not say
)

superseded_answers = Table(
    "superseded_answers",
    metadata,
    Column("feed", _name(32), primary_key=True),
    Column("symbol", _name(32), primary_key=True),
    Column("session", Date, primary_key=True),
    Column("status", _name(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("answered_at", UtcDateTime, primary_key=True),
    Column("superseded_at", UtcDateTime, nullable=False),  # by another answer, or because the session was given up
    Column("source", _name(64)),
)

cursors = Table(
    "cursors",
    metadata,
    Column("key", _name(160), primary_key=True),  # one unfinished request: what, from, to
    Column("page_token", Text),
    Column("pages", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

receipts = Table(
    "receipts",
    metadata,
    # SQLite numbers rows by itself only in a plain INTEGER key.
    Column("receipt_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("source", _name(32), nullable=False),
    Column("endpoint", _name(128), nullable=False),
    Column("feed", _name(32), nullable=False),
    Column("symbol", _name(32), nullable=False),
    Column("start", UtcDateTime, nullable=False),
    Column("end", UtcDateTime, nullable=False),  # exclusive
    Column("page_token", Text),
    Column("next_page_token", Text),
    Column("rows", Integer, nullable=False),
    Column("status", Integer),  # null: no answer came
    Column("complete", Boolean, nullable=False),  # the last page was seen
    Column("attempt", Integer, nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("request_id", _name(128)),
    Column("rate_limit_remaining", Integer),
    Column("error", ForeignText),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("quarantine_id", _name(64), primary_key=True),  # hash of origin, row and reason: seen twice, kept once
    Column("feed", _name(32), nullable=False),
    Column("symbol", _name(32), nullable=False),
    Column("origin", ForeignText, nullable=False),  # file or request
    Column("row_number", BigInteger, nullable=False),
    Column("reason", ForeignText, nullable=False),
    Column("raw", ForeignText, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("kind", _name(16), primary_key=True),
    Column("artifact_id", _name(64), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("manifest", Text, nullable=False),  # the same JSON as the folder's manifest.json
)

corporate_actions = Table(
    "corporate_actions",
    metadata,
    Column("statement_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("source", _name(160), nullable=False),
    Column("action_id", _name(160), nullable=False),  # the source's own name of the action
    Column("symbol", _name(32), nullable=False),
    Column("ex_date", Date, nullable=False),
    Column("kind", _name(32), nullable=False),  # values of `ActionKind`
    Column("ratio", Float),  # new shares for one old share
    Column("cash_usd", Float),  # dollars for one share held before the ex-date
    Column("close_before", Float),  # as the source states it
    Column("implied", Boolean, nullable=False),
    Column("details", ForeignText, nullable=False),
    Column("known_at", UtcDateTime, nullable=False),
    Column("superseded_at", UtcDateTime),  # null: the source still says so
    Index("corporate_actions_by_symbol", "symbol", "ex_date"),
    Index(
        "corporate_actions_standing",
        "source",
        "action_id",
        unique=True,
        sqlite_where=text("superseded_at IS NULL"),
        postgresql_where=text("superseded_at IS NULL"),
    ),
)

reference_closes = Table(
    "reference_closes",
    metadata,
    Column("feed", _name(32), primary_key=True),
    Column("symbol", _name(32), primary_key=True),
    Column("session", Date, primary_key=True),
    Column("close", Float, nullable=False),  # of the last regular bar, raw
    Column("content_hash", _name(64), nullable=False),  # of the session it was read from: another hash, another close
)

checked_sessions = Table(
    "checked_sessions",
    metadata,
    Column("feed", _name(32), primary_key=True),
    Column("symbol", _name(32), primary_key=True),
    Column("session", Date, primary_key=True),
    Column("input_hash", _name(64), nullable=False),  # of the checks and all bars they looked at
    Column("content_hash", _name(64), nullable=False),  # of the session's own bars
    Column("regular_bars", Integer, nullable=False),
    Column("regular_volume", BigInteger, nullable=False),  # shares
    Column("checked_at", UtcDateTime, nullable=False),
)

quality_findings = Table(
    "quality_findings",
    metadata,
    Column("finding_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("feed", _name(32), nullable=False),
    Column("symbol", _name(32), nullable=False),
    Column("session", Date, nullable=False),
    Column("timestamp", UtcDateTime),  # null: the whole session is meant
    Column("check_name", _name(32), nullable=False),  # values of `CheckName`
    Column("severity", _name(16), nullable=False),  # values of `Severity`
    Column("value", Float),
    Column("expected", Float),
    Column("detail", Text, nullable=False),
    Index("quality_findings_by_session", "feed", "symbol", "session"),
)

trials = Table(
    "trials",
    metadata,
    Column("trial_id", _name(32), primary_key=True),  # begins with its instant
    Column("begun_at", UtcDateTime, nullable=False),
    Column("kind", _name(32), nullable=False),  # values of `TrialKind`
    Column("study", _name(128), nullable=False),  # the question: its trials are the draws the best is chosen from
    Column("fingerprint", _name(64), nullable=False),  # of the parameters: the same try again has the same one
    Column("parent_id", _name(32)),  # the trial it was made for: a search, of one of its candidates
    Column("parameters", Text, nullable=False),  # JSON
    Index("trials_by_study", "study", "begun_at"),
)

trial_outcomes = Table(
    "trial_outcomes",
    metadata,
    Column("trial_id", _name(32), ForeignKey("trials.trial_id"), primary_key=True),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("status", _name(16), nullable=False),  # values of `TrialStatus`
    Column("fits", Integer, nullable=False),  # pipelines fitted
    Column("artifact_id", _name(64)),
    Column("scores", Text, nullable=False),  # JSON
    Column("sharpe", Float),  # of `returns`: per session, before costs of trading unless the kind says otherwise
    Column("returns", Text),  # JSON: return of each session by its date
    Column("error", ForeignText),
)

strategies = Table(
    "strategies",
    metadata,
    Column("strategy_id", _name(16), primary_key=True),  # hash of class, parameters and code: a row never changes
    Column("class", Text, nullable=False),  # module or file, and name
    Column("parameters", Text, nullable=False),  # JSON
    Column("code", _name(64), nullable=False),  # SHA-256 over the texts in `source`
    Column("source", Text, nullable=False),  # JSON: text of each module by its name
    Column("first_seen_at", UtcDateTime, nullable=False),
)

strategy_proofs = Table(
    "strategy_proofs",
    metadata,
    Column("strategy_id", _name(16), ForeignKey("strategies.strategy_id"), primary_key=True),
    Column("proven_at", UtcDateTime, nullable=False),
    Column("proof", Text, nullable=False),  # JSON: the report of a proof that found nothing
)
