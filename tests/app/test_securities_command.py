from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]


def test_a_watch_list_begins_with_three_symbols_and_is_not_overwritten(cli: Cli, tmp_path: Path) -> None:
    assert "SPY, QQQ and AAPL" in cli("securities", "init").out
    checked = cli("securities", "check", "--root", tmp_path)
    assert (checked.code, "3 securities are kept complete (2 etfs, 1 stocks)" in checked.out) == (0, True)
    again = cli("securities", "init")
    assert (again.code, "stays as it is" in again.errors) == (1, True)


def test_a_list_is_shown_as_a_table_and_as_json(cli: Cli) -> None:
    Path("securities.yaml").write_text("securities:\n  etfs: [SPY]\n  crypto: [BTC/USD]\n", encoding="utf-8")
    assert "BTC/USD" in cli("securities", "list").out
    rows = cli("securities", "list", "--categories", "etfs", "--json").data
    expected = {"symbol": "SPY", "category": "etfs", "enabled": True, "start": None, "names": "", "from": "line 2"}
    assert rows == [expected]
    assert cli("securities", "list", "--categories", "etf").code == 1
    lists = {row["list"]: row["as_of"] for row in cli("securities", "list", "--ready-made", "--json").data}
    assert lists["dow-30"] == "2024-11-08"


def test_a_fault_ends_with_its_line(cli: Cli) -> None:
    Path("securities.yaml").write_text("securities:\n  etfs: [SPY]\nfeatures: [cor]\n", encoding="utf-8")
    wrong_set = cli("securities", "check")
    assert (wrong_set.code, "core" in wrong_set.errors) == (1, True)
    Path("securities.yaml").write_text("securities:\n  etf: [SPY]\n", encoding="utf-8")
    wrong = cli("securities", "check")
    assert (wrong.code, "securities.yaml:2: category 'etf'" in wrong.errors) == (1, True)
