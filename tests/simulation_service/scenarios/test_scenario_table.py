"""The table of scenarios reads what docs/scenarios.md describes and names what is wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from barlake.errors import InvalidInputError
from simulation_service.scenarios.scenario_table import choose, own_scenarios, standard_scenarios
from simulation_service.scenarios.shocks import Gap, Halt, SessionMoves, Stage

BarMaker = Callable[..., pl.DataFrame]

HOURLY = Path(__file__).resolve().parents[4] / "shared/data/bars_1h/lean/SPY.parquet"


def test_the_table_of_the_house_has_every_kind_of_scenario(bars_of: BarMaker) -> None:
    found = {scenario.name: scenario for scenario in standard_scenarios()}
    assert found["march_2020"].start == dt.date(2020, 2, 20)
    assert not found["march_2020"].is_synthetic
    assert found["gap_down_10"].shocks == (Gap(-0.1),)
    stage = Stage.of(bars_of("SPY", sessions=25, minutes=60))
    for scenario in found.values():
        after = scenario.apply(stage)
        assert after.market.height > 0
        assert (after.market is stage.market) == (scenario.name in {"march_2020", "feed_outage"})


@pytest.mark.skipif(not HOURLY.is_file(), reason="the folders of ../shared/data are not here")
def test_the_moves_of_march_2020_are_those_of_the_hourly_bars() -> None:
    day = pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.date()
    daily = (
        pl.read_parquet(HOURLY)
        .group_by(day.alias("day"), maintain_order=True)
        .agg(pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last())
    )
    moves = daily.select(
        "day",
        overnight=pl.col("open") / pl.col("close").shift() - 1,
        whole=pl.col("close") / pl.col("open") - 1,
        extent=pl.col("high") / pl.col("low") - 1,
    ).filter(pl.col("day").is_between(dt.date(2020, 2, 20), dt.date(2020, 3, 23)))
    shock = choose(standard_scenarios(), ["march_2020_moves"])[0].shocks[0]
    assert isinstance(shock, SessionMoves)
    for row, wanted in zip(shock.moves, moves.drop("day").rows(), strict=True):
        assert row == pytest.approx(wanted, abs=5.1e-5)


def test_a_file_of_ones_own_names_spans_and_shocks(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        """
[[scenario]]
name = "inflation"
start = 2022-06-09
end = "2022-06-17"

[[scenario]]
name = "bad_morning"
shocks = [{kind = "gap", size = -0.2, session = 2024-05-01}, {kind = "halt", time = 10:30:00, minutes = 30}]
""",
        encoding="utf-8",
    )
    span, shocks = own_scenarios(path)
    assert (span.start, span.end) == (dt.date(2022, 6, 9), dt.date(2022, 6, 17))
    assert shocks.shocks == (Gap(-0.2, session="2024-05-01"), Halt(time="10:30:00", minutes=30))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ", "is not TOML"),
        ("", r"has no \[\[scenario\]\]"),
        ("[[scenarios]]\nname = 'a'", "Did you mean 'scenario'"),
        ("[[scenario]]\nstart = '2024-01-02'", "has no name"),
        ("[[scenario]]\nname = 'a'", "needs either start and end, or shocks"),
        ("[[scenario]]\nname = 'a'\nbegin = 1", "'begin' is not known"),
        ("[[scenario]]\nname = 'a'\nstart = '2024-01-02'\nend = '2024-01-02'", "is not before end"),
        ("[[scenario]]\nname = 'a'\nshocks = [{kind = 'gab'}]", "Did you mean 'gap'"),
        ("[[scenario]]\nname = 'a'\nshocks = [{kind = 'gap'}]", "missing 1 required positional argument: 'size'"),
        ("[[scenario]]\nname = 'a'\nshocks = [{kind = 'gap', sise = 1}]", "Did you mean 'size'"),
        ("[[scenario]]\nname = 'a'\nshocks = [{kind = 'gap', size = 'x'}]", "not supported between"),
        ("[[scenario]]\nname = 'a'\nshocks = [{kind = 'halt'}]\n" * 2, "names 'a' twice"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=said):
        own_scenarios(path)


def test_a_name_that_is_not_known_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidInputError, match="Did you mean 'march_2020'"):
        choose(standard_scenarios(), ["march2020"])
    assert len(choose(standard_scenarios(), [])) == len(standard_scenarios())
