"""The documentation as a site: every page is in it, every link leads somewhere, and messages it explains exist."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.test_house import modules

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` does; any warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    order = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    made = subprocess.run(
        order, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def test_every_page_and_tutorial_is_in_the_site(site: Path) -> None:
    pages = [path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md")]
    pages += [path.relative_to(DOCS).with_suffix("") for path in (DOCS / "tutorials").glob("*.py")]
    assert len(pages) > 90
    missing = [page for page in pages if page.name != "index" and not (site / page / "index.html").is_file()]
    assert missing == []


def test_tutorials_are_text_and_code_there(site: Path) -> None:
    page = (site / "tutorials/01-from-csv-files-to-a-lake/index.html").read_text(encoding="utf-8")
    assert "<h1" in page
    assert "lake.gaps" in re.sub(r"<[^>]+>", "", page)
    assert "[markdown]" not in page


def test_a_reader_fetches_nothing_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r"<(?:link|script|img)[^>]*?(?:href|src)=\"?(?:https?:)?//([^/\" >]+)")
    assert {
        host for page in site.rglob("*.html") for host in fetched.findall(page.read_text(encoding="utf-8"))
    } == set()


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"^ +- (\S+\.md)$", text, flags=re.MULTILINE)
    assert sorted(named) == sorted(set(named))
    assert {path.name for path in DOCS.glob("*.md")} == {name for name in named if "/" not in name}
    assert yaml.safe_load(text)["strict"] is True


def said(tree: ast.AST) -> list[str]:
    """Texts that a module can print, with what is filled in left out."""
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
            texts.append("".join(str(part) for part in parts))
    return texts


def test_texts_are_found_in_code_with_what_is_filled_in_left_out() -> None:
    assert "no \0 here" in said(ast.parse("print(f'no {name} ' f'here')"))


def test_messages_that_troubleshooting_explains_are_messages_of_the_product() -> None:
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    explained = [cell for cell in re.findall(r"^\| `([^`]+)` \|", page, flags=re.MULTILINE) if " " in cell]
    assert len(explained) > 20
    texts = [text for path in modules() for text in said(ast.parse(path.read_text(encoding="utf-8")))]
    assert [message for message in explained if not any(message in text for text in texts)] == []
