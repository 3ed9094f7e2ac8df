"""The page's own example, as a file and as a stranger's package, builds tables in a lake."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from pathlib import Path

import polars as pl
import pytest

from barlake.errors import NotFoundError
from barlake.keys import SessionFilter
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.compute import compute_features, on_sessions
from feature_service.declare import Feature, feature
from feature_service.feature_set import FeatureSet
from feature_service.inputs import FeatureInputs
from feature_service.loading import GROUP
from feature_service.sets import find_feature_set

PAGE = (Path(__file__).resolve().parents[2] / "docs/add-a-feature.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_features.py"
    path.write_text(block("python"))
    return path


def assert_computes(mine: FeatureSet, calendar: Calendar) -> None:
    sessions = calendar.in_range(dt.date(2024, 6, 17), dt.date(2024, 6, 22))["session"].to_list()
    ours, market = (on_sessions(make_bars(sessions, seed=n), calendar, SessionFilter.REGULAR) for n in (1, 2))
    found = compute_features(FeatureInputs(ours, context=market), mine.features)
    assert found.columns == ["range_position_30", "range_position_20_15min", "beyond_the_market_10", "rsi_9"]
    moves = [frame["close"].log().diff(10) for frame in (ours, market)]
    assert found["beyond_the_market_10"].to_list() == pytest.approx((moves[0] - moves[1]).to_list(), nan_ok=True)
    # 20 whole quarters of an hour: known with the last minute of the 20th.
    assert found["range_position_20_15min"].is_not_null().arg_max() == 20 * 15 - 1


def test_the_file_of_the_page_is_a_set_that_computes(file: Path, calendar: Calendar) -> None:
    mine = find_feature_set(str(file))
    assert (mine.name, mine.context, mine.needs_context, mine.needs_macro) == ("mine", "SPY", True, False)
    assert_computes(mine, calendar)


def test_the_package_of_the_page_brings_the_set_by_its_name(
    file: Path, monkeypatch: pytest.MonkeyPatch, calendar: Calendar
) -> None:
    declared = tomllib.loads(block("toml"))["project"]["entry-points"][GROUP]
    facts = file.parent / "my_features-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-features\nVersion: 1.0\n")
    points = "\n".join(f"{name} = {value}" for name, value in declared.items())
    (facts / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")
    monkeypatch.syspath_prepend(str(file.parent))
    assert_computes(find_feature_set("mine"), calendar)
    with pytest.raises(NotFoundError, match="use one of core, full, mine"):
        find_feature_set("min")


def test_every_column_that_the_page_names_can_be_read(history: pl.DataFrame) -> None:
    table = PAGE.split("## What an expression may read")[1].split("What the lake does not hold")[0]
    names = set(
        re.findall(r"`([a-z]+(?:_[A-Za-z0-9]+)*)`", "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    )
    assert {"session_close", "context_timestamp", "macro_DGS10_known_at", "news_articles_60"} <= names
    part = history.head(50)
    empty = FeatureInputs(part, context=part)
    features = [column(name) for name in sorted(names)]
    assert compute_features(empty, features).shape == (50, len(names))


def column(name: str) -> Feature:
    return feature(unit="one")(lambda: pl.col(name).is_not_null().cast(pl.Int8)).named(f"has_{name}")
