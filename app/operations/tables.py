"""The operations database's tables. A table that is missing is made when the database is opened."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, text

from barlake.tables import ForeignText, UtcDateTime

__all__ = [
    "agents",
    "alerts",
    "api_keys",
    "deliveries",
    "heartbeats",
    "log_records",
    "metadata",
    "schedules",
    "version",
    "watched",
]

# All names begin alike: on PostgreSQL they may share a database with the manifest.
metadata = MetaData()
_Number = BigInteger().with_variant(Integer, "sqlite")

version = Table("operations_version", metadata, Column("version", Integer, primary_key=True))

heartbeats = Table(
    "operations_heartbeats",
    metadata,
    Column("worker", String(128), primary_key=True),
    Column("agent", String(32), primary_key=True),
    Column("state", String(32), nullable=False),
    Column("job", Text),
    Column("symbol", Text),
    Column("done", BigInteger),
    Column("total", BigInteger),
    Column("next_step", ForeignText),
    Column("details", ForeignText),  # JSON
    Column("period_s", Float, nullable=False),
    Column("beat_at", UtcDateTime, nullable=False),
)

agents = Table(
    "operations_agents",
    metadata,
    Column("agent", String(32), primary_key=True),
    Column("desired", String(16), nullable=False),  # running, paused, stopped
    Column("since", UtcDateTime, nullable=False),
)

log_records = Table(
    "operations_log_records",
    metadata,
    Column("record_id", _Number, primary_key=True, autoincrement=True),
    Column("logged_at", UtcDateTime, nullable=False),
    Column("level", Integer, nullable=False),  # numbers of the module `logging`
    Column("agent", String(64)),
    Column("symbol", Text),
    Column("stage", Text),
    Column("job", Text),
    Column("message", ForeignText, nullable=False),
    Column("fields", ForeignText, nullable=False),  # JSON: all that has no column of its own
    # An identifier that was pruned must not come back: readers go on from the last one they saw.
    sqlite_autoincrement=True,
)

alerts = Table(
    "operations_alerts",
    metadata,
    Column("alert_id", _Number, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False),
    Column("level", String(16), nullable=False),
    Column("message", ForeignText, nullable=False),
    Column("details", ForeignText, nullable=False),  # JSON
    Column("fired_at", UtcDateTime, nullable=False),
    Column("cleared_at", UtcDateTime),  # null: it is active
    # One row an episode, whoever saw it first.
    Index(
        "operations_alerts_active",
        "key",
        unique=True,
        sqlite_where=text("cleared_at IS NULL"),
        postgresql_where=text("cleared_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

deliveries = Table(
    "operations_deliveries",
    metadata,
    Column("delivery_id", _Number, primary_key=True, autoincrement=True),
    Column("alert_id", BigInteger, nullable=False),
    Column("event", String(16), nullable=False),  # fired, cleared
    Column("channel", String(16), nullable=False),  # webhook, email
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),  # also the end of a claim: nobody else tries before
    Column("made_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),  # null: still to be delivered
    Column("error", ForeignText),  # of the last attempt; beside `ended_at`: given up
    sqlite_autoincrement=True,
)

watched = Table(
    "operations_watched",
    metadata,
    Column("symbol", String(64), primary_key=True),
    Column("since", UtcDateTime, nullable=False),  # market time: sessions that were due before broke no promise
)

schedules = Table(
    "operations_schedules",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("trigger", Text, nullable=False),  # JSON
    Column("work", Text, nullable=False),  # JSON: what the `update` task is told
    Column("paused", Boolean, nullable=False),
    Column("removed", Boolean, nullable=False),  # a default that was removed must not come back by itself
    Column("seen_until", UtcDateTime, nullable=False),  # market time up to which every time was judged
    Column("last_due", UtcDateTime),
    Column("last_job", Text),
    Column("mark", Text),  # of what is watched: what it was when it was last seen
    Column("changes", Integer, nullable=False),  # how often it had changed
)

api_keys = Table(
    "operations_api_keys",
    metadata,
    Column("key_id", String(12), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("hash", String(64), nullable=False),  # SHA-256 of the whole key, in hexadecimal digits
    Column("requests_per_minute", Integer),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    # A name is free again when its key is revoked.
    Index(
        "operations_api_keys_named",
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)
