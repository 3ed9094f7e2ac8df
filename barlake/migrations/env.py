"""Where Alembic runs: on the connection and in the transaction that `database.upgrade` opened."""

from alembic import context

from barlake.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
