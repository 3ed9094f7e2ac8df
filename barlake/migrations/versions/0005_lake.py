"""Which lake a database belongs to; on PostgreSQL, text of any length that sorts as it does in Python."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lake", sa.Column("lake_id", sa.String(length=32), nullable=False), sa.PrimaryKeyConstraint("lake_id")
    )
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        found = sa.inspect(connection)
        for table in found.get_table_names():
            for column in found.get_columns(table):
                if isinstance(column["type"], sa.String) and table != "alembic_version":
                    op.execute(f'ALTER TABLE {table} ALTER COLUMN "{column["name"]}" TYPE TEXT COLLATE "C"')


def downgrade() -> None:
    op.drop_table("lake")
