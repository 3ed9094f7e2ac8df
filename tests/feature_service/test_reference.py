"""docs/features.md is what the docstrings say now."""

from __future__ import annotations

from pathlib import Path

from feature_service.reference import features_page
from feature_service.sets import CORE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"


def test_the_page_of_features_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == features_page(), "run `make docs`"


def test_the_page_names_every_feature_twice_in_table_and_formula() -> None:
    page = features_page()
    assert all(page.count(f"`{one.name}`") >= 2 for one in CORE.features)
