"""A run as every face shows it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import barlake
from app.use_cases.runs import compare, curves_of, list_all_runs, names_of_runs, report_of, sessions_of, view_run
from barlake.errors import FormatError, InvalidInputError, NotFoundError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from simulation_service.plan import SimulationPlan, StrategySource
from simulation_service.simulate import simulate


@pytest.fixture(scope="module")
def root(small_lake: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, with a second run over the same bars and one over those of another symbol."""
    root: Path = tmp_path_factory.mktemp("runs") / "lake"
    shutil.copytree(small_lake.root, root)
    with barlake.open(root) as lake:
        for symbol in small_lake.symbols:
            simulate(lake, SimulationPlan((symbol,), StrategySource("moving_average_cross")))
    return root


@pytest.fixture
def lake(root: Path) -> Iterator[Lake]:
    with barlake.open(root) as found:
        yield found


def test_the_ladder_is_the_one_of_the_run_the_optimistic_rung_first(lake: Lake, small_lake: Any) -> None:
    view = view_run(lake, small_lake.run_id)
    rungs = lake.artifacts.find(ArtifactKind.RUN, small_lake.run_id).results["ladder"]["rungs"]
    assert view.ladder["total_return"].to_list() == [one["total_return"] for one in rungs]
    assert view.ladder["optimistic"].to_list() == [True] + [False] * 5
    assert "Typical costs" in view.ladder_notes[0]
    assert view.ladder_notes[1].startswith("Break-even")


def test_chance_the_number_of_tries_and_buy_and_hold_stand_beside_it(lake: Lake, small_lake: Any) -> None:
    view = view_run(lake, small_lake.run_id)
    assert any("entered at random" in one for one in view.beside)
    assert any("on record" in one for one in view.beside)
    assert view.cards[0].beside.startswith("held ")
    assert [head.title for head in view.heads[:2]] == ["Next open", "Buy and hold"]


def test_curves_have_few_points_and_lose_no_extreme(lake: Lake, small_lake: Any) -> None:
    curves = curves_of(lake, small_lake.run_id, most=300)
    whole = pl.read_parquet(lake.artifacts.find(ArtifactKind.RUN, small_lake.run_id).path / "equity.parquet")
    assert curves.points.height <= 300 < curves.bars == whole.height
    for name in ("equity_usd", "buy_and_hold_usd", "same_close_usd"):
        assert curves.points[name].min() == whole[name].min()
        assert curves.points[name].max() == whole[name].max()
    assert curves.points["bar"].to_list() == sorted(set(curves.points["bar"].to_list()))
    assert all(0 <= bar < curves.bars for bar, _ in curves.ticks)


def test_drawdown_is_the_fall_from_the_highest_value_so_far(lake: Lake, small_lake: Any) -> None:
    curves = curves_of(lake, small_lake.run_id)
    whole = pl.read_parquet(lake.artifacts.find(ArtifactKind.RUN, small_lake.run_id).path / "equity.parquet")
    highest = pl.concat([pl.Series("top", [curves.cash_usd]), whole["equity_usd"].rename("top")]).cum_max()[1:]
    expected = (whole["equity_usd"] / highest - 1)[curves.points["bar"]]
    assert (curves.points["drawdown"] - expected).abs().max() < 1e-12  # type: ignore[operator]


def test_runs_over_the_same_bars_compare_and_others_are_said_not_to(lake: Lake, small_lake: Any) -> None:
    by_symbol = dict(
        list_all_runs(lake).filter(pl.col("source").str.contains("moving")).select("symbols", "run").rows()
    )
    first, second = (by_symbol[symbol] for symbol in small_lake.symbols)
    apart = compare(lake, [first, second])
    assert not apart.same_bars
    assert "different bars" in apart.verdict
    assert "symbols" in apart.differing["fact"].to_list()
    assert apart.growth["run"].unique(maintain_order=True).to_list() == [first, second]
    last = apart.growth.filter(run=first)["growth"][-1]
    assert last == pytest.approx(view_run(lake, first).run.results["account"]["metrics"]["total_return"])
    with simulated_again(lake, small_lake.symbols[0]) as third:
        assert compare(lake, [first, third]).same_bars


def simulated_again(lake: Lake, symbol: str) -> Any:
    """Context of a run over the same bars with other parameters, which is deleted afterwards."""
    import contextlib

    @contextlib.contextmanager
    def made() -> Iterator[str]:
        plan = SimulationPlan((symbol,), StrategySource("moving_average_cross", {"fast_bars": 5}))
        run = simulate(lake, plan).run
        yield run.id
        lake.artifacts.delete(run)

    return made()


def test_one_run_is_no_comparison_and_an_unknown_one_is_told(lake: Lake, small_lake: Any) -> None:
    with pytest.raises(InvalidInputError, match="two different"):
        compare(lake, [small_lake.run_id])
    with pytest.raises(NotFoundError, match="not in the lake"):
        view_run(lake, "ffff")


def test_runs_are_named_by_symbol_and_source_and_have_their_sessions(lake: Lake, small_lake: Any) -> None:
    names = names_of_runs(list_all_runs(lake))
    assert names[small_lake.run_id].startswith(f"{small_lake.symbols[0]}, model ")
    sessions = sessions_of(lake, small_lake.run_id)
    assert sessions == sorted(set(sessions))
    assert len(sessions) == view_run(lake, small_lake.run_id).run.results["sessions"]
    assert report_of(lake, small_lake.run_id).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_account_values_that_were_changed_are_not_drawn(root: Path, small_lake: Any, tmp_path: Path) -> None:
    own = tmp_path / "lake"
    shutil.copytree(root, own)
    with barlake.open(own) as lake:
        table = lake.artifacts.find(ArtifactKind.RUN, small_lake.run_id).path / "equity.parquet"
        table.write_bytes(table.read_bytes()[:-1] + b"x")
        with pytest.raises(FormatError, match=r"equity\.parquet"):
            curves_of(lake, small_lake.run_id)
