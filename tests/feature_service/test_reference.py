"""docs/features.md is what the docstrings say now."""

from __future__ import annotations

from pathlib import Path

import pytest

from feature_service.reference import features_page, main
from feature_service.sets import FULL

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"


def test_the_page_of_features_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == features_page(), "run `make docs`"


def test_the_page_names_every_feature_in_one_table_and_with_one_formula() -> None:
    lines = features_page().splitlines()
    for one in FULL.features:
        assert sum(line.startswith(f"| `{one.name}` |") for line in lines) == 1, one.name
        assert sum(line.startswith("### ") and f"`{one.name}`" in line for line in lines) == 1, one.name
    headings = [line.split(":")[0] for line in lines if line.startswith("### ")]
    assert len(set(headings)) == len(headings)


def test_a_longer_timeframe_stands_beside_the_history() -> None:
    assert "| `adx_14_15min` | trend | 0 to 100 | 27 of 15Min |" in features_page()
    assert "| `relative_volume_5` | volume | ratio | 5 sessions |" in features_page()


def test_a_set_of_ones_own_has_a_page_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "own.py"
    head = "from feature_service.feature_set import FeatureSet\nfrom feature_service.trend import sma\n"
    path.write_text(f"{head}OWN = FeatureSet('own', (sma.named('average', window_bars=5),))\n")
    assert main([str(path)]) == 0
    shown = capsys.readouterr().out
    assert "## Set `own`: 1 features" in shown
    assert "### trend.sma: `average`" in shown
    assert main(["nowhere.py"]) == 1
    assert "nowhere.py cannot be read" in capsys.readouterr().err
