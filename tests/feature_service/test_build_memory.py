"""How much memory a build takes is known before it begins, and as many symbols are built at a time as fit."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from barlake import Lake
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars, temporary_lake
from feature_service import build
from feature_service.build import build_features, symbol_bytes
from feature_service.sets import find_feature_set

MEASURE = """
import resource, sys
from pathlib import Path
from barlake import Lake
from barlake.settings import Settings
from feature_service.build import build_features

with Lake(Path(sys.argv[1]), Settings(_env_file=None)) as lake:
    build_features(lake, ["SPY"], set_name=sys.argv[2], workers=1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("set_name", ["core", "full"])
def test_a_symbol_of_a_million_minutes_takes_no_more_than_was_said(set_name: str, tmp_path: Path) -> None:
    sessions = Calendar.default().in_range(dt.date(2014, 1, 1), dt.date(2024, 1, 1))["session"].to_list()
    with Lake(tmp_path, Settings(_env_file=None)) as lake:
        bars = make_bars(sessions)
        lake.write_bars(bars, feed="sip", symbol="SPY")
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), set_name], capture_output=True, text=True, check=True
    )
    columns = len(find_feature_set(set_name).features)
    assert int(ended.stdout) < symbol_bytes(bars.height, columns)


def test_only_as_many_symbols_are_built_at_a_time_as_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []

    def run_here(function: object, items: list[object], *, workers: int | None, **_: object) -> list[object]:
        asked.append(workers)
        return [function(item) for item in items]  # type: ignore[operator] # what is run

    monkeypatch.setattr(build, "run_parallel", run_here)
    with temporary_lake() as lake:
        for symbol in ("SPY", "QQQ", "IWM"):
            lake.write_bars(make_bars([dt.date(2024, 1, 2)]), feed="sip", symbol=symbol)
        one = symbol_bytes(390, len(find_feature_set("core").features))
        for available in (10 * one, 2 * one, one - 1):
            monkeypatch.setattr(build, "available_bytes", lambda available=available: available)
            build_features(lake, workers=3)
            for file in (lake.root / "features").rglob("*.parquet"):
                file.unlink()
    assert asked == [3, 2, 1]


def test_little_work_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARLAKE_WORKERS", "2")
    monkeypatch.setattr(build, "_build_elsewhere", lambda *_: pytest.fail("another process was asked"))
    with temporary_lake() as lake:
        for symbol in ("SPY", "QQQ"):
            lake.write_bars(make_bars([dt.date(2024, 1, 2)]), feed="sip", symbol=symbol)
        assert build_features(lake).files_written == 2
