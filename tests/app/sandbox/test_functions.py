"""Every function of the DuckDB at hand was looked at, and stands on one list."""

from __future__ import annotations

import duckdb

from app.sandbox.functions import ALLOWED, REFUSED, TABLE_FUNCTIONS

KINDS = "('scalar', 'aggregate', 'macro', 'window')"
NOT_CATALOGUED = {"unnest"}
"""Functions that the parser knows without the catalogue listing them as such."""


def test_every_function_is_allowed_or_refused_and_none_is_both() -> None:
    with duckdb.connect() as connection:
        names = connection.sql(
            f"SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE function_type IN {KINDS}"
        )
        known = {name for (name,) in names.fetchall()}
    assert known | NOT_CATALOGUED == ALLOWED | set(REFUSED)
    assert not ALLOWED & set(REFUSED)


def test_functions_in_the_place_of_a_table_exist() -> None:
    with duckdb.connect() as connection:
        names = connection.sql("SELECT function_name FROM duckdb_functions() WHERE function_type = 'table'").fetchall()
    assert {name for (name,) in names} >= TABLE_FUNCTIONS
