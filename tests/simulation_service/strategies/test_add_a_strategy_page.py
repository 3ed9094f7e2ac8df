"""The module of the page is loaded as it stands, wants what the page says, and looks at nothing later."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from barlake.errors import InvalidInputError
from barlake.leak_proof import Effort
from simulation_service.strategies.catalogue import make_strategy
from simulation_service.strategies.leak_proof import prove_strategy
from simulation_service.strategies.placing import signal_frame

PAGE = (Path(__file__).resolve().parents[3] / "docs/add-a-strategy.md").read_text(encoding="utf-8")
SOME = Effort(whole=16, pieces=5, per_piece=6, piece_rows=240, sweeps=2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = re.search(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    path = tmp_path / "my_strategies.py"
    path.write_text(found[1])
    return path


def test_the_opening_range_is_what_a_loop_makes_of_it(file: Path, three: pl.DataFrame) -> None:
    strategy = make_strategy(f"{file}:OpeningRange", {"range_bars": "10"})
    found = signal_frame(strategy, three)
    for symbol in ("AAA", "BBB", "CCC"):
        wanted: list[float] = []
        for _, session in three.filter(symbol=symbol).group_by("session", maintain_order=True):
            top, is_above = max(session["high"].to_list()[:10]), False
            for number, close in enumerate(session["close"]):
                is_above = is_above or (number >= 10 and close > top)
                wanted.append(float(is_above))
        assert found.filter(symbol=symbol)["signal"].to_list() == wanted
    prove_strategy(strategy, three, effort=SOME).require_clean()
    with pytest.raises(InvalidInputError, match="range_bars 0 is no number of bars"):
        signal_frame(make_strategy(f"{file}:OpeningRange", {"range_bars": "0"}), three)


def test_the_follower_is_held_after_its_leader_rose(file: Path, two: pl.DataFrame) -> None:
    strategy = make_strategy(f"{file}:Leader", {"leader": "AAA", "follower": "BBB", "window_bars": "5"})
    closes = two.filter(symbol="AAA")["close"].to_list()
    stamps = two.filter(symbol="AAA")["timestamp"].to_list()
    rises = {stamp: float(closes[at] > closes[at - 5]) for at, stamp in enumerate(stamps) if at >= 5}
    wanted = [
        rises.get(stamp) if symbol == "BBB" else 0.0 for stamp, symbol in two.select("timestamp", "symbol").iter_rows()
    ]
    assert signal_frame(strategy, two)["signal"].to_list() == wanted
    prove_strategy(strategy, two, effort=SOME).require_clean()
