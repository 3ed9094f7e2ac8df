from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake import Lake
from barlake.errors import FormatError
from barlake.keys import ArtifactKind
from barlake.testing import make_bars, temporary_lake
from simulation_service.audit import Audit, Variant, audit_run
from simulation_service.audit_plans import other_feeds
from simulation_service.bar_difference import bar_difference
from simulation_service.plan import FileSource, SimulationPlan, StrategySource
from simulation_service.simulate import SimulationReport, simulate

SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 1, 4)]
BARS = make_bars(SESSIONS, seed=3, minutes=40)


@pytest.fixture
def lake() -> Iterator[Lake]:
    """SPY from feed sip, three sessions of 40 minutes each."""
    with temporary_lake() as lake:
        lake.write_bars(BARS, feed="sip", symbol="SPY")
        yield lake


@pytest.fixture
def signals(tmp_path: Path) -> Path:
    return alternating(tmp_path)


def alternating(folder: Path) -> Path:
    """A file of signals: flat for seven minutes, long for seven, and so on."""
    path = folder / "signals.parquet"
    BARS.select("timestamp", signal=((pl.int_range(pl.len()) // 7) % 2).cast(pl.Float64)).write_parquet(path)
    return path


def run_of(lake: Lake, signals: Path, **options: Any) -> SimulationReport:
    return simulate(lake, SimulationPlan(("SPY",), FileSource(signals), feed=options.pop("feed", "sip"), **options))


def audited(lake: Lake, report: SimulationReport) -> Audit:
    return audit_run(lake, report.run)


def one(found: Audit, **wanted: Any) -> Variant:
    """The last variant with these facts."""
    return [each for each in found.variants if all(getattr(each, name) == value for name, value in wanted.items())][-1]


def state_of_actions(lake: Lake, tmp_path: Path, line: str) -> None:
    path = tmp_path / "actions.csv"
    path.write_text(f"symbol,ex_date,kind,ratio,cash_usd\n{line}\n", encoding="utf-8")
    lake.import_actions(path, source="test")


@dataclass(frozen=True)
class Audited:
    """An audit of a run whose bars lie under feed iex too, and what the lake held before and after it."""

    lake: Lake
    report: SimulationReport
    found: Audit
    heard: list[tuple[str, int, int]]
    before: list[Any]
    after: list[Any]


@pytest.fixture(scope="module")
def same_bars(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    with temporary_lake() as lake:
        for feed in ("sip", "iex"):
            lake.write_bars(BARS, feed=feed, symbol="SPY")
        report = run_of(lake, alternating(tmp_path_factory.mktemp("signals")))
        heard: list[tuple[str, int, int]] = []
        before = held_by(lake)
        found = audit_run(lake, report.run, progress=lambda *told: heard.append(told))
        yield Audited(lake, report, found, heard, before, held_by(lake))


def held_by(lake: Lake) -> list[Any]:
    return [lake.artifacts.list(ArtifactKind.RUN), lake.trials.frame().rows(), sorted(lake.root.rglob("*.parquet"))]


def test_another_feed_with_the_same_bars_moves_nothing(same_bars: Audited) -> None:
    found = same_bars.found
    assert {each.difference for each in found.variants} == {0.0}
    assert one(found, feed="iex").final_value == same_bars.report.results["account"]["final_value"]
    assert [(bars.feed, bars.common, bars.own_only, bars.other_only, bars.equal_closes) for bars in found.bars] == [
        ("iex", 120, 0, 0, 1.0)
    ]


def test_an_audit_leaves_nothing_behind_and_is_no_trial(same_bars: Audited) -> None:
    assert same_bars.after == same_bars.before
    assert [done for _, done, _ in same_bars.heard] == list(range(4))


def test_signals_that_were_changed_since_are_not_audited(same_bars: Audited) -> None:
    path = same_bars.report.run.path / "signals.parquet"
    written = path.read_bytes()
    path.write_bytes(b"other")
    try:
        with pytest.raises(FormatError, match="not the file that was written"):
            audited(same_bars.lake, same_bars.report)
    finally:
        path.write_bytes(written)


def test_other_prices_of_another_feed_move_the_result_as_worked_out_by_hand(lake: Lake, tmp_path: Path) -> None:
    # All of 100,000 dollars in at the second open, still held at the last close: twice as high on the other feed.
    path = tmp_path / "long.parquet"
    BARS.select("timestamp", signal=pl.lit(1.0)).write_parquet(path)
    last = pl.col("timestamp") == BARS["timestamp"][-1]
    doubled = BARS.with_columns(
        pl.when(last).then(pl.col(name) * 2).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close", "vwap")
    )
    lake.write_bars(doubled, feed="iex", symbol="SPY")
    found = audited(lake, run_of(lake, path))
    shares = int(100_000 / BARS["open"][1])
    assert one(found, feed="iex", adjustment="raw").difference == pytest.approx(shares * BARS["close"][-1] / 100_000)
    assert f"the feed alone moves the result by up to {shares * BARS['close'][-1] / 1000:+.2f}" in " ".join(
        found.sentences()
    )
    assert any(told.startswith("no split or dividend of SPY is known here") for told in found.sentences())
    assert found.bars[0].largest_distance_bps == pytest.approx(6931.47, abs=0.01)


def test_a_feed_that_holds_a_part_is_held_against_the_same_part_of_the_run(lake: Lake, signals: Path) -> None:
    lake.write_bars(make_bars(SESSIONS[1:2], seed=9, minutes=40), feed="iex", symbol="SPY")
    found = audited(lake, run_of(lake, signals))
    part = [each for each in found.variants if each.first_session == each.last_session == SESSIONS[1]]
    assert [(each.feed, each.bars) for each in part] == [("sip", 40), ("iex", 40), ("iex", 40)]
    base, other, _ = part
    assert base.difference is None
    assert base.total_return is not None
    assert other.total_return is not None
    assert other.difference == other.total_return - base.total_return


def test_a_dividend_between_shows_what_the_terms_of_prices_did(lake: Lake, signals: Path, tmp_path: Path) -> None:
    report = run_of(lake, signals)
    state_of_actions(lake, tmp_path, "SPY,2024-01-03,cash_dividend,,1.00")
    found = audited(lake, report)
    adjusted = one(found, adjustment="all")
    assert found.variants[0].difference == 0.0
    assert adjusted.buy_and_hold_return is not None
    assert found.variants[0].buy_and_hold_return is not None
    close = BARS.filter(pl.col("timestamp").dt.date() == SESSIONS[0])["close"][-1]
    paid = 1.0 / (1.0 - 1.0 / close)
    growth = (1.0 + adjusted.buy_and_hold_return) / (1.0 + found.variants[0].buy_and_hold_return)
    assert growth == pytest.approx(paid, rel=2e-3)
    assert "the adjustment alone moves the result" in " ".join(found.sentences())
    assert "is known here" not in " ".join(found.sentences())


def test_what_cannot_be_traded_is_told_with_its_reason(lake: Lake, signals: Path, tmp_path: Path) -> None:
    state_of_actions(lake, tmp_path, "SPY,2024-01-03,split,2,")
    found = audited(lake, run_of(lake, signals, adjustment="all"))
    raw = one(found, adjustment="raw")
    assert raw.total_return is None
    assert raw.refused is not None
    assert "split" in raw.refused


def test_bars_that_changed_since_are_seen(lake: Lake, signals: Path) -> None:
    report = run_of(lake, signals)
    # The minute in which the last position is bought.
    mended = BARS.slice(106, 1).with_columns(pl.col("open", "high", "low", "close", "vwap") * 1.5)
    lake.write_bars(mended, feed="sip", symbol="SPY")
    found = audited(lake, report)
    assert found.variants[0].difference != 0.0
    assert "bars that changed since move it" in found.sentences()[0]


def test_a_strategy_looks_at_the_other_bars_itself(lake: Lake) -> None:
    lake.write_bars(make_bars(SESSIONS, seed=4, minutes=40), feed="iex", symbol="SPY")
    source = StrategySource("moving_average_cross", {"fast_bars": 2, "slow_bars": 5})
    found = audited(lake, simulate(lake, SimulationPlan(("SPY",), source, feed="sip")))
    kept, again = (one(found, feed="iex", adjustment="raw", signals=kind) for kind in ("kept", "made again"))
    assert kept.fills != again.fills
    alone = simulate(lake, SimulationPlan(("SPY",), source, feed="iex")).results["account"]
    assert again.final_value == alone["final_value"]


def test_made_up_bars_are_not_held_against_a_market(lake: Lake, signals: Path) -> None:
    for feed in ("iex", "synthetic"):
        lake.write_bars(BARS, feed=feed, symbol="SPY")

    def compared_with(feed: str) -> list[str]:
        return other_feeds(lake, SimulationPlan(("SPY",), FileSource(signals), feed=feed))

    assert {feed: compared_with(feed) for feed in ("sip", "iex", "synthetic")} == {
        "sip": ["iex"],
        "iex": ["sip"],
        "synthetic": [],
    }


def test_feeds_without_a_common_minute_have_no_distance() -> None:
    first, second = (make_bars([day], minutes=3).with_columns(symbol=pl.lit("SPY")) for day in SESSIONS[:2])
    found = bar_difference(first, second, feed="iex")
    assert (found.common, found.own_only, found.other_only) == (0, 3, 3)
    assert (found.equal_closes, found.mean_distance_bps, found.largest_distance_bps) == (None, None, None)
