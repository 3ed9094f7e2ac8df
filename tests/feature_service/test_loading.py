"""What can be wrong with a feature set of one's own is said, and nothing of it is kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import FeatureSetKey, SessionFilter
from feature_service.loading import GROUP
from feature_service.sets import CORE, find_feature_set

HEAD = """
import polars as pl
from feature_service.declare import feature
from feature_service.feature_set import FeatureSet
from feature_service.sets import CORE
from feature_service.trend import sma
"""
ONE = "ONE = FeatureSet('one', (sma.named('average', window_bars=5),))\n"
TWO = "TWO = FeatureSet('two', (sma.named('average', window_bars=6),))\n"


def written(folder: Path, text: str, name: str = "own.py") -> str:
    path = folder / name
    path.write_text(HEAD + text)
    return str(path)


def key_of(name: str) -> FeatureSetKey:
    return find_feature_set(name).key(feed="sip", session=SessionFilter.REGULAR)


def test_a_file_with_several_sets_is_asked_for_one_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, ONE + TWO)
    assert find_feature_set(f"{path}:two").features[0].parameters == {"window_bars": 6}
    with pytest.raises(InvalidInputError, match=r"holds one, two feature sets at module level: name one, as in .*:one"):
        find_feature_set(path)
    with pytest.raises(NotFoundError, match="holds no feature set 'three', but one, two"):
        find_feature_set(f"{path}:three")


def test_a_file_that_borrows_a_set_of_the_house_holds_its_own_only(tmp_path: Path) -> None:
    assert find_feature_set(written(tmp_path, ONE)).name == "one"
    with pytest.raises(InvalidInputError, match="holds no feature sets at module level"):
        find_feature_set(written(tmp_path, "", "none.py"))


def test_the_name_of_a_set_of_the_house_is_taken(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="names its feature set 'core', which is a set of the house"):
        find_feature_set(written(tmp_path, ONE.replace("'one'", "'core'")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("FeatureSet('one', (sma.named('average', windows=5),))", "feature 'average' cannot be made: sma with"),
        ("FeatureSet('../one', (sma.named('average', window_bars=5),))", "has no name for a folder"),
        ("FeatureSet('one', (sma.named('an average', window_bars=5),))", "has no name for a column"),
        ("FeatureSet('one', ())", "has no features"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused_with_the_reason(text: str, said: str, tmp_path: Path) -> None:
    before = set(sys.modules)
    with pytest.raises(InvalidInputError) as raised:
        find_feature_set(written(tmp_path, text))
    assert said in str(raised.value)
    assert "own.py cannot be loaded" in str(raised.value)
    assert not [name for name in set(sys.modules) - before if name.endswith(".own")]


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(NotFoundError, match=r"nowhere/own\.py cannot be read"):
        find_feature_set("nowhere/own.py")


def test_another_text_is_another_version_and_the_same_text_the_same_wherever_it_lies(tmp_path: Path) -> None:
    own = "\n@feature(unit='dollars')\ndef mine() -> pl.Expr:\n    return pl.col('close') * {}\n"
    text = own + "ONE = FeatureSet('one', (mine.named('mine'),))\n"
    (tmp_path / "elsewhere").mkdir()
    first = key_of(written(tmp_path, text.format(2)))
    assert key_of(written(tmp_path / "elsewhere", text.format(2))) == first
    assert key_of(written(tmp_path, text.format(3))) != first


def test_what_a_file_imports_from_beside_it_and_from_the_house_is_part_of_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    own = (
        "import {helper}\n@feature(unit='one')\ndef mine() -> pl.Expr:\n    return pl.col('close') * {helper}.FACTOR\n"
    )
    text = own + "ONE = FeatureSet('one', (mine.named('mine'),))\n"
    versions = []
    for factor in (2, 3):
        helper = tmp_path / f"helper_{factor}.py"
        helper.write_text("FACTOR = 2\n")
        path = written(tmp_path, text.format(helper=helper.stem), f"own_{factor}.py")
        versions.append(find_feature_set(path).code)
        helper.write_text("FACTOR = 30\n")
        assert find_feature_set(path).code != versions[-1]
    assert len(set(versions)) == 2


def test_an_entry_point_gives_a_set_of_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, ONE, "own_package.py")
    facts = tmp_path / "own-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    points = "one = own_package:ONE\nother = own_package:ONE\nnumber = own_package:HEAD\nfunction = own_package:sma\n"
    (facts / "entry_points.txt").write_text(f"[{GROUP}]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_feature_set("one").features[0].name == "average"
    with pytest.raises(InvalidInputError, match="gives a set 'one': let it name a FeatureSet that is called 'other'"):
        find_feature_set("other")
    with pytest.raises(InvalidInputError, match="gives a FeatureMaker"):
        find_feature_set("function")
    with pytest.raises(InvalidInputError, match=r"entry point 'number' .* cannot be loaded, it raises AttributeError"):
        find_feature_set("number")
    assert find_feature_set("core") is CORE
