"""What sources said before they said otherwise."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_postgres = op.get_bind().dialect.name == "postgresql"

    def name(length: int) -> sa.types.TypeEngine[str]:
        return sa.Text(collation="C") if is_postgres else sa.String(length=length)

    op.create_table(
        "superseded_answers",
        sa.Column("feed", name(32), nullable=False),
        sa.Column("symbol", name(32), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("status", name(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("feed", "symbol", "session", "answered_at"),
    )


def downgrade() -> None:
    op.drop_table("superseded_answers")
