"""Commits of daily bars, news and macro values beside those of minute bars."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_postgres = op.get_bind().dialect.name == "postgresql"
    kind: sa.types.TypeEngine[str] = sa.Text(collation="C") if is_postgres else sa.String(length=32)
    op.add_column("commits", sa.Column("dataset", kind, nullable=False, server_default="bars"))


def downgrade() -> None:
    op.drop_column("commits", "dataset")
