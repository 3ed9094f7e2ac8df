"""Words of others on a page, such as a headline in an error: nothing in them becomes a link, a picture or a formula."""

from __future__ import annotations

import polars as pl
import pytest

pytest.importorskip("streamlit")

from app.dashboard.parts.colours import palette
from app.dashboard.parts.look import plain
from app.dashboard.parts.sql_answer import _drawn

LINK = "<a href='http://attacker.example'>look</a>"


@pytest.mark.parametrize("before", ["", "`", "```", "`a``", "a ` b `c` ` "])
def test_a_backtick_without_its_fellow_lets_no_markdown_through(before: str) -> None:
    assert plain(f"{before}[x](http://e) ![x](y)").endswith(r"\[x\](http\://e) \!\[x\](y)")


def test_code_stays_code() -> None:
    assert plain("run `barlake keys create *NAME*` <b>") == r"run `barlake keys create *NAME*` \<b\>"


def test_a_picture_shows_names_and_values_of_a_query_as_text() -> None:
    rows = pl.DataFrame({LINK: [LINK, LINK], "y": [1.0, 2.0], "of": [LINK, LINK]})
    found, _ = _drawn(rows, "Line", LINK, ["y"], "of", palette())
    assert "&lt;a href" in found.to_json()
    assert "<a href" not in found.to_json().replace("\\u003c", "<")
