"""Keys in the database, in SQLite and in PostgreSQL: found by their whole text alone, free again when they end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.operations import Operations, open_operations
from app.operations.redaction import Redactor
from barlake.errors import ConflictError
from barlake.records import utc_now
from barlake.settings import load_settings


@pytest.fixture(params=["sqlite", "postgres"])
def operations(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operations]:
    if request.param == "postgres":
        monkeypatch.setenv("BARLAKE_OPERATIONS_URL", request.getfixturevalue("postgres"))
    with open_operations(load_settings(tmp_path / "lake")) as operations:
        yield operations


def test_a_key_is_found_by_its_text_until_it_is_revoked(operations: Operations) -> None:
    keys = operations.api_keys
    key, text = keys.create("me", "operator", requests_per_minute=7)
    assert keys.find(text) == key == keys.all()[0]
    assert keys.find(text.replace("blk_", "BLK_")) is None
    assert keys.find(text[:-1] + ("1" if text[-1] == "0" else "0")) is None
    assert keys.is_any()
    with pytest.raises(ConflictError, match="'me'"):
        keys.create("me", "reader")
    assert keys.revoke(key.key_id).name == "me"
    assert keys.find(text) is None
    assert not keys.is_any()
    keys.create("me", "reader")


def test_a_key_whose_time_has_come_makes_room_for_another_of_its_name(operations: Operations) -> None:
    keys = operations.api_keys
    _, text = keys.create("me", "reader", expires_at=utc_now() - dt.timedelta(seconds=1))
    assert keys.find(text) is None
    assert not keys.is_any()
    _, later = keys.create("me", "reader", expires_at=utc_now() + dt.timedelta(hours=1))
    assert keys.find(later) is not None


def test_a_key_in_a_log_line_is_blanked_and_its_name_stays() -> None:
    text = f"asked with blk_{'0' * 12}_{'a' * 64}, in vain"
    assert Redactor().text(text) == f"asked with blk_{'0' * 12}_***, in vain"
