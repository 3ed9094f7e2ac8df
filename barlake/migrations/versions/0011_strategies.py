"""Definitions of strategies by their hash, and the proofs that they do not look ahead."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_postgres = op.get_bind().dialect.name == "postgresql"

    def name(length: int) -> sa.types.TypeEngine[str]:
        return sa.Text(collation="C") if is_postgres else sa.String(length=length)

    op.create_table(
        "strategies",
        sa.Column("strategy_id", name(16), nullable=False),
        sa.Column("class", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("code", name(64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("strategy_id"),
    )
    op.create_table(
        "strategy_proofs",
        sa.Column("strategy_id", name(16), nullable=False),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proof", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["strategy_id"], ["strategies.strategy_id"]),
        sa.PrimaryKeyConstraint("strategy_id"),
    )


def downgrade() -> None:
    op.drop_table("strategy_proofs")
    op.drop_table("strategies")
