"""The page's own example, installed as a stranger's package, fetches from a web server into a lake."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import barlake
from app.cli import run
from ingest_service.sources.interface import COLUMNS, MAY_LACK, Dataset
from ingest_service.sources.registry import GROUP, sources
from tests.scripted_server import serve, status

PAGE = (Path(__file__).resolve().parents[3] / "docs/add-a-source.md").read_text(encoding="utf-8")
DAYS = """session,open,high,low,close,volume
2024-01-02,10.0,11.0,9.0,10.5,100
2024-01-03,10.5,11.5,9.5,11.0,200
2024-01-04,11.0,,9.5,11.0,200
"""


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what an installer makes of the page's package: its modules, its name and its entry points."""
    declared = tomllib.loads(block("toml"))
    project, target = declared["project"], tmp_path_factory.mktemp("installed")
    (module,) = declared["tool"]["setuptools"]["py-modules"]
    (target / f"{module}.py").write_text(block("python"))
    facts = target / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    facts.mkdir()
    named = f"Name: {project['name']}\nVersion: {project['version']}\n"
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\n{named}")
    entries = (f"{name} = {value}\n" for name, value in project["entry-points"][GROUP].items())
    (facts / "entry_points.txt").write_text(f"[{GROUP}]\n{''.join(entries)}")
    return target


def fetch(root: Path, capsys: pytest.CaptureFixture[str], symbol: str = "SPY") -> tuple[int, str, str]:
    window = ("--start", "2024-01-02", "--end", "2024-01-06")
    code = run(["fetch", "daily", symbol, "--source", "csvhouse", *window, "--root", str(root), "--json"])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.fixture
def house(installed: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return monkeypatch


def test_the_example_is_found_fetches_and_keeps_its_name(
    house: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "csvhouse" in set(sources())
    with serve(status(503), status(200, DAYS)) as script:
        house.setenv("CSVHOUSE_URL", script.url)
        code, out, errors = fetch(tmp_path, capsys)
    assert code == 0, errors
    (one,) = json.loads(out)["fetched"]
    assert (one["source"], one["new"], one["quarantined"], one["requests"]) == ("csvhouse", 2, 1, 2)
    with barlake.open(tmp_path) as lake:
        assert lake.daily("SPY").select("source", "close").rows() == [("csvhouse", 10.5), ("csvhouse", 11.0)]
        receipts = lake.manifest.receipts()
    assert receipts.select("source", "endpoint", "attempt", "rows", "complete").rows() == [
        ("csvhouse", "daily", 1, 0, False),
        ("csvhouse", "daily", 2, 3, True),
    ]
    assert receipts["error"].to_list() == ["HTTP 503", None]


def test_its_errors_are_told_as_it_tells_them(
    house: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(status(404)) as script:
        house.setenv("CSVHOUSE_URL", script.url)
        code, _, errors = fetch(tmp_path, capsys, "ABSENT")
    assert (code, len(script.seen)) == (1, 1)
    assert "csvhouse has no ABSENT." in errors


def test_what_it_lacks_to_be_made_breaks_it_alone(
    house: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house.delenv("CSVHOUSE_URL", raising=False)
    code, _, errors = fetch(tmp_path, capsys)
    assert code == 1
    assert "source 'csvhouse' cannot be used" in errors
    assert "CSVHOUSE_URL" in errors


@pytest.mark.parametrize("kind", list(Dataset))
def test_the_page_names_every_column_and_those_that_may_be_left_out(kind: Dataset) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{kind.name}`"))
    needed, _, rest = row.split("|")[3].partition(";")
    words = set(re.findall(r"\w+", needed)), set(re.findall(r"\w+", rest))
    may_lack = MAY_LACK - ({"volume"} if kind is Dataset.MINUTE else set())
    assert set(COLUMNS[kind]) - may_lack <= words[0]
    assert set(COLUMNS[kind]) & may_lack == words[1]
