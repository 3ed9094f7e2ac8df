"""By which source a session was answered for."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_postgres = op.get_bind().dialect.name == "postgresql"
    for table in ("answers", "superseded_answers"):
        kind: sa.types.TypeEngine[str] = sa.Text(collation="C") if is_postgres else sa.String(length=64)
        op.add_column(table, sa.Column("source", kind, nullable=True))


def downgrade() -> None:
    for table in ("answers", "superseded_answers"):
        op.drop_column(table, "source")
