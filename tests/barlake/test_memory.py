from __future__ import annotations

from pathlib import Path

from barlake.memory import available_bytes

MEMINFO = (
    "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\nHugePages_Total:       0\n"
)


def test_the_machine_says_what_is_available(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(MEMINFO)
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 8_000_000 * 1024


def test_a_container_may_have_less(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "memory.current").write_text("3000\n")
    for limit, wanted in (("5000\n", 2000), ("1000\n", 0), ("max\n", 8_000_000 * 1024)):
        (tmp_path / "memory.max").write_text(limit)
        assert available_bytes(tmp_path / "meminfo", tmp_path) == wanted


def test_where_nobody_says_it_is_half_of_what_is_built_in(tmp_path: Path) -> None:
    assert available_bytes(tmp_path / "none", tmp_path) > 0
