"""SQL of people one does not know: one query, one process, nothing in its reach but the views of the lake.

`app.sandbox.run` asks, `app.sandbox.offer` says what may be asked. What the sandbox defends against, and in which
order, is in `docs/sql-sandbox.md`. Nothing is imported here: the process of a query loads no more than it needs.
"""
