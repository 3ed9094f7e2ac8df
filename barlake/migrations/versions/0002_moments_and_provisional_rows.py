"""Commits say whose rows they carry and with which `ingested_at`; rows that are not final have a rank."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("commits", sa.Column("feed", sa.String(length=32), nullable=True))
    op.add_column("commits", sa.Column("symbol", sa.String(length=32), nullable=True))
    op.add_column("commits", sa.Column("moment", sa.DateTime(timezone=True), nullable=True))
    op.create_index("commits_by_moment", "commits", ["feed", "symbol", "moment"], unique=False)
    op.create_table(
        "provisional_rows",
        sa.Column("feed", sa.String(length=32), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("feed", "symbol", "timestamp"),
    )


def downgrade() -> None:
    op.drop_table("provisional_rows")
    op.drop_index("commits_by_moment", table_name="commits")
    op.drop_column("commits", "moment")
    op.drop_column("commits", "symbol")
    op.drop_column("commits", "feed")
