"""The last commit is found without a walk through all of them, in time and of a feed."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("commits_by_feed", "commits", ["feed", "moment"])
    op.create_index("commits_by_time", "commits", ["committed_at"])


def downgrade() -> None:
    op.drop_index("commits_by_time", "commits")
    op.drop_index("commits_by_feed", "commits")
