"""Sources are found by name: ours, a stranger's, and those that cannot be used."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from barlake.errors import CredentialsError, InvalidInputError
from barlake.settings import Settings
from ingest_service.sources import registry
from ingest_service.sources.registry import GROUP, source_named, sources

ROOT = Path(__file__).resolve().parents[3]

STRANGER = """
from barlake.errors import BarlakeError
from ingest_service.sources.interface import Capabilities, Dataset

class Mine:
    capabilities = Capabilities(name="mine", offers=frozenset({Dataset.DAILY}))

def make(settings):
    return Mine()

def nothing(settings):
    return None
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's package beside ours, with one entry that works and some that do not."""
    (tmp_path / "stranger_of_the_test.py").write_text(STRANGER)
    (tmp_path / "broken_of_the_test.py").write_text("raise RuntimeError('half written')")
    facts = tmp_path / "stranger-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        f"[{GROUP}]\nmine = stranger_of_the_test:make\nnothing = stranger_of_the_test:nothing\n"
        "broken = broken_of_the_test:make\nabsent = absent_of_the_test:make\nmassive = stranger_of_the_test:make\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_ours_are_those_the_package_declares() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entries = {name: f"{registry._HOME}{value}" for name, (value, _) in registry._OURS.items()}
    assert declared["entry-points"][GROUP] == entries
    extras = {extra for _, extra in registry._OURS.values() if extra}
    assert extras <= set(declared["optional-dependencies"])


@pytest.mark.parametrize("name", sorted(registry._OURS))
def test_each_of_ours_is_made_or_asks_for_its_key(name: str, tmp_path: Path) -> None:
    settings = Settings(BARLAKE_ROOT=str(tmp_path))
    try:
        courier = source_named(name, settings)
    except CredentialsError as error:
        assert "is not set" in str(error)  # noqa: PT017 - either is right
    else:
        assert courier.source == name
        assert not courier.capabilities.needs_key


@pytest.mark.usefixtures("installed")
def test_a_strangers_source_is_found_beside_ours() -> None:
    assert {"mine", "massive", "yahoo"} <= set(sources())
    assert source_named("mine", Settings()).source == "mine"


@pytest.mark.usefixtures("installed")
def test_a_stranger_cannot_take_the_name_of_one_of_ours() -> None:
    with pytest.raises(CredentialsError, match="MASSIVE_API_KEY"):
        source_named("massive", Settings())


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "words"),
    [("broken", "RuntimeError: half written"), ("absent", "absent_of_the_test"), ("nothing", "capabilities")],
)
def test_a_broken_entry_breaks_itself_alone(name: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        source_named(name, Settings())
    assert source_named("mine", Settings()).source == "mine"


def test_a_missing_library_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    monkeypatch.delitem(sys.modules, "ingest_service.sources.ccxt_source", raising=False)
    with pytest.raises(InvalidInputError, match=r"pip install 'barlake\[ccxt\]'"):
        source_named("binance", Settings())


def test_an_unknown_name_is_offered_a_known_one() -> None:
    with pytest.raises(InvalidInputError, match="Did you mean 'yahoo'"):
        source_named("yaho", Settings())
