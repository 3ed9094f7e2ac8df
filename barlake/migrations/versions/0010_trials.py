"""A ledger of trials to which rows can only be added: the database itself refuses any other change."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TABLES = ("trials", "trial_outcomes")

_SQLITE = (
    "CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refusal}",
    "CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refusal}",
    # INSERT OR REPLACE deletes, and no trigger of deletion hears of it.
    """CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
       WHEN EXISTS (SELECT 1 FROM {table} WHERE trial_id = NEW.trial_id) {refusal}""",
)
_SQLITE_REFUSAL = "BEGIN SELECT RAISE(ABORT, 'table {table} is append-only'); END"

_FUNCTION = """
    CREATE FUNCTION barlake_append_only() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''table % is append-only'', TG_TABLE_NAME USING ERRCODE = ''restrict_violation''; END'
"""
_POSTGRES = """
    CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION barlake_append_only()
"""


def upgrade() -> None:
    is_postgres = op.get_bind().dialect.name == "postgresql"

    def name(length: int) -> sa.types.TypeEngine[str]:
        return sa.Text(collation="C") if is_postgres else sa.String(length=length)

    op.create_table(
        "trials",
        sa.Column("trial_id", name(32), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", name(32), nullable=False),
        sa.Column("study", name(128), nullable=False),
        sa.Column("fingerprint", name(64), nullable=False),
        sa.Column("parent_id", name(32), nullable=True),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("trial_id"),
    )
    op.create_index("trials_by_study", "trials", ["study", "begun_at"], unique=False)
    op.create_table(
        "trial_outcomes",
        sa.Column("trial_id", name(32), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", name(16), nullable=False),
        sa.Column("fits", sa.Integer(), nullable=False),
        sa.Column("artifact_id", name(64), nullable=True),
        sa.Column("scores", sa.Text(), nullable=False),
        sa.Column("sharpe", sa.Float(), nullable=True),
        sa.Column("returns", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.trial_id"]),
        sa.PrimaryKeyConstraint("trial_id"),
    )
    if is_postgres:
        op.execute(_FUNCTION)
    for table in _TABLES:
        refusal = _SQLITE_REFUSAL.format(table=table)
        for statement in (_POSTGRES,) if is_postgres else _SQLITE:
            op.execute(statement.format(table=table, refusal=refusal))


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION barlake_append_only()")
