"""`barlake scenarios`, `montecarlo` and `events` on a lake of made-up bars."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import run
from barlake import Lake
from barlake.keys import ArtifactKind
from barlake.testing import make_bars, temporary_lake
from simulation_service.plan import FileSource, SimulationPlan, StrategySource
from simulation_service.simulate import simulate

SESSIONS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 10, 11, 12, 16, 17, 18, 19, 22, 23, 24, 25, 26, 29, 30)]
SESSIONS += [dt.date(2024, 1, 31), *(dt.date(2024, 2, day) for day in (1, 2, 5, 6, 7, 8, 9, 12, 13))]


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    """SPY over 30 sessions of 60 minutes, feed synthetic."""
    with temporary_lake() as lake:
        lake.write_bars(make_bars(SESSIONS, minutes=60), feed="synthetic", symbol="SPY")
        yield lake


@pytest.fixture(scope="module")
def run_id(lake: Lake) -> str:
    """A run of a strategy with a cost."""
    source = StrategySource("moving_average_cross", {"fast_bars": 5, "slow_bars": 20})
    return simulate(lake, SimulationPlan(("SPY",), source)).run_id


def asked(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert run(words) == code
    told = capsys.readouterr()
    return told.out, told.err


def test_scenarios_are_listed_with_what_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = asked(capsys, "scenarios", "list", "--json")
    rows = {row["scenario"]: row for row in json.loads(out)}
    assert rows["march_2020"]["start"] == "2020-02-20"
    assert rows["circuit_breaker"]["shocks"] == 3
    assert all(row["description"] for row in rows.values())


def test_every_scenario_of_the_house_is_put_to_a_run(
    lake: Lake, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = asked(capsys, "scenarios", "run", run_id[:8], "--root", str(lake.root), "--json")
    found = json.loads(out)
    rows = {row["scenario"]: row for row in found["scenarios"]}
    stored = lake.artifacts.find(ArtifactKind.RUN, run_id).results["account"]["final_value_usd"]
    assert rows["as_it_was"]["final_value_usd"] == stored
    assert rows["gap_down_10"]["final_value_usd"] < stored
    assert rows["gap_down_10"]["synthetic"]
    assert [name for name, row in rows.items() if row["reason"]] == ["march_2020"]
    page = Path(found["page"])
    assert page == lake.root / "reports" / f"scenarios-{run_id}.html"
    assert "synthetic" in page.read_text(encoding="utf-8")


def test_a_scenario_that_is_named_must_work(
    lake: Lake, run_id: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = ("--root", str(lake.root))
    _, err = asked(capsys, "scenarios", "run", run_id, "--scenario", "march_2020", *root, code=1)
    assert "2020" in err
    _, err = asked(capsys, "scenarios", "run", run_id, "--scenario", "gap", *root, code=1)
    assert "scenario 'gap' is not known" in err
    own = tmp_path / "own.toml"
    own.write_text('[[scenario]]\nname = "mild"\nshocks = [{kind = "gap", size = -0.01}]\n', encoding="utf-8")
    page = tmp_path / "page.html"
    out, _ = asked(capsys, "scenarios", "run", run_id, "--table", str(own), "--html", str(page), *root)
    assert "mild" in out
    assert page.is_file()
    out, _ = asked(capsys, "scenarios", "list", "--table", str(own))
    assert "mild" in out


def test_a_run_of_signals_from_a_file_needs_the_file_no_more(
    lake: Lake, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "signals.csv"
    rows_of_file = ("2024-01-02T14:35:00Z,1", "2024-02-12T15:00:00Z,0", "2024-02-13T15:00:00Z,0")
    path.write_text("\n".join(["timestamp,signal", *rows_of_file]) + "\n", encoding="utf-8")
    made = simulate(lake, SimulationPlan(("SPY",), FileSource(path)))
    path.unlink()
    out, _ = asked(capsys, "scenarios", "run", made.run_id, "--root", str(lake.root), "--json")
    rows = {row["scenario"]: row for row in json.loads(out)["scenarios"]}
    assert rows["as_it_was"]["final_value_usd"] == made.results["account"]["final_value_usd"]
    assert rows["as_it_was"]["fills"] == rows["gap_down_10"]["fills"] == 2


@pytest.mark.parametrize(("method", "paths"), [("returns", 500), ("bars", 3)])
def test_futures_of_a_run_are_drawn_alike_from_the_same_seed(
    lake: Lake, run_id: str, capsys: pytest.CaptureFixture[str], method: str, paths: int
) -> None:
    words = ("montecarlo", run_id, "--method", method, "--paths", str(paths), "--root", str(lake.root), "--json")
    one, two = (json.loads(asked(capsys, *words)[0]) for _ in range(2))
    assert one == two
    assert one["sessions"] == 30
    assert one["paths"] == paths
    assert one["synthetic"]
    assert one["total_return"]["0.05"] < one["total_return"]["0.95"]
    assert one["max_drawdown"]["0.5"] > 0
    other = json.loads(asked(capsys, *words, "--seed", "3")[0])
    assert other["total_return"] != one["total_return"]
    assert Path(one["page"]).name == f"montecarlo-{run_id}.html"


def test_futures_as_a_table_and_what_is_refused(lake: Lake, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = ("--root", str(lake.root))
    out, _ = asked(capsys, "montecarlo", run_id, "--paths", "50", "--sessions", "90", "--block", "auto", *root)
    assert "risk_of_ruin" in out
    assert "synthetic paths" in out
    for words, said in (
        (("--method", "dice"), "method 'dice' is not known"),
        (("--method", "garch"), "30 sessions are too few"),
        (("--method", "bars", "--sessions", "31"), "30 sessions to stand on"),
        (("--ruin", "2"), "a share of the cash"),
        (("--block", "long"), "no number of sessions"),
        (("--block", "0.2"), "at least 1 session"),
        (("--paths", "0"), "at least 1"),
    ):
        _, err = asked(capsys, "montecarlo", run_id, *words, *root, code=1)
        assert said in err
    _, err = asked(capsys, "montecarlo", "ffff", *root, code=1)
    assert "ffff" in err


def test_events_of_a_file_are_studied(lake: Lake, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    root = ("--root", str(lake.root))
    dates = tmp_path / "earnings.csv"
    dates.write_text("date,time\n2024-02-06,09:45\n2024-02-07,10:00\n", encoding="utf-8")
    window = ("--before", "2", "--after", "1", "--expected-from", "20")
    out, _ = asked(capsys, "events", "SPY", "--dates", str(dates), *window, *root, "--json")
    found = json.loads(out)
    assert found["events"] == 2
    assert [row["offset"] for row in found["offsets"]] == [-2, -1, 0, 1]
    assert found["synthetic"]
    assert Path(found["page"]) == lake.root / "reports" / "events-synthetic-SPY.html"
    out, _ = asked(capsys, "events", "SPY", "--dates", str(dates), "--unit", "minutes", "--after", "5", *root)
    assert "synthetic bars" in out
    assert "left out" not in out


def test_events_come_from_one_place(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    root = ("--root", str(lake.root))
    _, err = asked(capsys, "events", "SPY", *root, code=2)
    assert "name one of --dates, --macro and --actions" in err
    _, err = asked(capsys, "events", "SPY", "--actions", "split", "--source", "fred", *root, code=2)
    assert "--source goes with --macro" in err
    _, err = asked(capsys, "events", "SPY", "--macro", "GDP", *root, code=1)
    assert "nothing of macro is held of 'GDP'" in err
