"""`barlake feature-quality`: tables in the catalogue, a page, and what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def built(cli: Any, bars_alone: Path, tmp_path: Path) -> Path:
    """A lake of SPY and QQQ with the features of SPY alone."""
    root = tmp_path / "lake"
    shutil.copytree(bars_alone, root)
    assert cli("features", "SPY", "--root", root).code == 0
    return root


def test_it_prints_a_line_for_each_feature_and_writes_a_page(cli: Any, built: Path) -> None:
    done = cli("feature-quality", "--root", built)
    assert (done.code, done.errors) == (0, "")
    page = built / "reports/features-core-synthetic-SPY.html"
    assert f"page: {page}" in done.out
    assert re.search(r"log_return_1 .* a copy of simple_return_1", done.out)
    html = page.read_text(encoding="utf-8")
    assert "synthetic bars: made up" in html
    assert html.count('class="time"') == 37


def test_the_page_asks_for_nothing_from_elsewhere_and_runs_nothing(cli: Any, built: Path) -> None:
    cli("feature-quality", "SPY", "--root", built)
    html = (built / "reports/features-core-synthetic-SPY.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|<link|@import|url\(|(src|href)=\"(?!data:)", html)


def test_as_json_it_gives_features_drift_and_nulls(cli: Any, built: Path) -> None:
    [one] = cli("feature-quality", "SPY", "--periods", "3", "--json", "--root", built).data
    assert (one["symbol"], one["feed"], one["feature_set"]) == ("SPY", "synthetic", "core")
    assert len(one["features"]) == 37
    assert len(one["drift"]) == 3 * 37
    assert {"session": "2024-01-02", "feature": "sma_5", "nulls": 4, "rows": 390} in one["nulls"]


def test_the_catalogue_has_the_tables(cli: Any, built: Path) -> None:
    before = cli("sql", "select count(*) as n from feature_quality", "--json", "--root", built)
    assert before.data == [{"n": 0}]
    cli("feature-quality", "SPY", "--root", built)
    sql = "select q.symbol, q.nulls, d.period from feature_quality q join feature_drift d using (name, version, symbol, feature) where feature = 'sma_20' order by period"  # noqa: E501 - one query
    found = cli("sql", sql, "--json", "--root", built).data
    assert found == [{"symbol": "SPY", "nulls": 19, "period": period} for period in range(4)]


def test_after_a_training_each_feature_has_its_importance(cli: Any, built: Path) -> None:
    trained = cli("train", "SPY", "--folds", "2", "--json", "--root", built)
    assert trained.code == 0
    [one] = cli("feature-quality", "SPY", "--json", "--root", built).data
    assert {row["model"] for row in one["features"]} == {trained.data["model_id"]}
    assert all(isinstance(row["importance"], float) for row in one["features"])
    html = Path(one["page"]).read_text(encoding="utf-8")
    assert f"Of model <code>{trained.data['model_id']}</code>" in html


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("QQQ",), "feature set 'core' has no table of symbol 'QQQ'"),
        (("SPY", "--set", "other"), "feature set 'other' has no table of symbol 'SPY'"),
        (("--set", "other"), "feature set 'other' has no table: `barlake features` builds it"),
        (("SPY", "--feed", "iex"), "from feed 'iex'"),
        (("SPY", "--periods", "16"), "periods 16 cannot be compared in a table of 15 sessions"),
        (("SPY", "--periods", "1"), "periods 1 cannot be compared"),
        (("SPY", "--html", "one.txt"), "--html one.txt is not a .html file"),
        (("SPY", "QQQ", "--html", "one.html"), "--html one.html is one page: name one symbol"),
    ],
)
def test_what_cannot_be_done_is_one_clear_error(
    cli: Any, built: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = cli("feature-quality", *arguments, "--root", built)
    assert (done.code, done.out) == (1, "")
    assert message in done.errors
    assert not (built / "reports").exists()
