from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pypdf
import pytest

import barlake
from barlake.artifacts import Artifact
from barlake.testing import make_bars
from simulation_service.plan import SimulationPlan, StrategySource
from simulation_service.simulate import simulate

SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A run in a lake with SPY from two feeds, whose bars differ."""
    source = StrategySource("moving_average_cross", {"fast_bars": 3, "slow_bars": 9})
    with barlake.open(tmp_path_factory.mktemp("lake")) as lake:
        for seed, feed in enumerate(["sip", "iex"]):
            lake.write_bars(make_bars(SESSIONS, seed=seed, minutes=60), feed=feed, symbol="SPY")
        return simulate(lake, SimulationPlan(("SPY",), source, feed="sip")).run


@pytest.fixture
def root(run: Artifact) -> Path:
    return run.path.parents[1]


@pytest.fixture
def run_id(run: Artifact) -> str:
    return run.id


def test_audit_tells_how_much_was_feed_and_terms_of_prices(cli: Any, root: Path, run_id: str) -> None:
    found = cli("audit", run_id[:8], "--root", root, "--json").data
    assert {(one["feed"], one["adjustment"], one["signals"]) for one in found["variants"]} == {
        ("sip", "raw", "kept"),
        *((feed, "all", kind) for feed in ("sip", "iex") for kind in ("kept", "made again")),
        *(("iex", "raw", kind) for kind in ("kept", "made again")),
    }
    shown = cli("audit", run_id, "--root", root)
    assert shown.code == 0
    assert "bars beside those of sip" in shown.out
    assert "and does so again on its own bars." in shown.out
    for sentence in found["sentences"]:
        assert sentence in shown.out


def test_audit_of_a_run_that_is_not_there_is_one_message(cli: Any, root: Path) -> None:
    done = cli("audit", "0000", "--root", root)
    assert done.code == 1
    assert "0000" in done.errors


def test_report_says_where_the_page_lies_and_writes_it_as_pdf(
    cli: Any, root: Path, run_id: str, tmp_path: Path
) -> None:
    page = Path(cli("runs", "report", run_id, "--root", root).out.strip())
    assert page.name == "report.html"
    assert "SPY" in page.read_text(encoding="utf-8")
    pdf = tmp_path / "spy.pdf"
    done = cli("runs", "report", run_id, "--pdf", pdf, "--root", root, "--json")
    assert done.data == {"report": str(page), "pdf": str(pdf)}
    assert done.errors == ""
    assert run_id in pypdf.PdfReader(pdf).pages[0].extract_text()


def test_a_pdf_that_cannot_be_written_is_one_message(cli: Any, root: Path, run_id: str, tmp_path: Path) -> None:
    done = cli("runs", "report", run_id, "--pdf", tmp_path / "nowhere" / "spy.pdf", "--root", root)
    assert done.code == 1
    assert "cannot write" in done.errors
