"""What sources state about splits and dividends, and the closes that dividends are measured by."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "corporate_actions",
        sa.Column(
            "statement_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("source", sa.String(length=160), nullable=False),
        sa.Column("action_id", sa.String(length=160), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("ex_date", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("ratio", sa.Float(), nullable=True),
        sa.Column("cash_usd", sa.Float(), nullable=True),
        sa.Column("close_before", sa.Float(), nullable=True),
        sa.Column("implied", sa.Boolean(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("statement_id"),
    )
    op.create_index("corporate_actions_by_symbol", "corporate_actions", ["symbol", "ex_date"], unique=False)
    op.create_index(
        "corporate_actions_standing",
        "corporate_actions",
        ["source", "action_id"],
        unique=True,
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "reference_closes",
        sa.Column("feed", sa.String(length=32), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("close", sa.Float(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("feed", "symbol", "session"),
    )


def downgrade() -> None:
    op.drop_table("reference_closes")
    op.drop_index("corporate_actions_standing", table_name="corporate_actions")
    op.drop_index("corporate_actions_by_symbol", table_name="corporate_actions")
    op.drop_table("corporate_actions")
