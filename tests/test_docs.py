"""The pages tell the truth: every command, option and setting is described, every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import AliasChoices, BaseModel
from typer.main import get_command

from app.cli import application
from app.cli_docs import cli_page
from barlake.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "data").glob("README.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(text: str) -> set[str]:
    """Names that headings have as link targets: lower case, spaces to hyphens, other marks dropped."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def dead_links(text: str, page: Path) -> list[str]:
    """Relative links of a page whose file, or whose heading in that file, does not exist."""
    dead = []
    pages = {page.resolve(): text}
    for target in LINK.findall(without_code(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page.resolve()
        if file.is_file() and anchor:
            pages.setdefault(file, file.read_text(encoding="utf-8"))
        if not (file in pages or file.exists()) or (anchor and anchor not in anchors(pages.get(file, ""))):
            dead.append(target)
    return dead


def commands(application: typer.Typer) -> Iterator[tuple[str, list[str]]]:
    """Every command's name with its long options."""
    waiting = [("", get_command(application))]
    while waiting:
        name, command = waiting.pop()
        options = [option for part in command.params for option in part.opts if option.startswith("--")]
        yield name, options
        waiting.extend((f"{name} {child}".strip(), found) for child, found in getattr(command, "commands", {}).items())


def words_after(program: str, text: str) -> set[str]:
    """Sub-commands of a program that a page names in code, inline or at the start of a shell line."""
    return set(re.findall(rf"(?:`|^|&& )(?:\.venv/bin/)?{program} ([a-z][a-z-]*)", text, flags=re.MULTILINE))


def environment_names(settings: type[BaseModel]) -> set[str]:
    names: set[str] = set()
    for field in settings.model_fields.values():
        if isinstance(field.validation_alias, AliasChoices):
            names |= {str(name) for name in field.validation_alias.choices}
        elif isinstance(field.validation_alias, str):
            names.add(field.validation_alias)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= environment_names(field.annotation)
    return names


def test_the_command_line_page_is_what_help_prints() -> None:
    made = subprocess.run([sys.executable, "-m", "app.cli_docs"], check=True, capture_output=True, text=True)
    assert (ROOT / "docs/cli.md").read_text(encoding="utf-8") == made.stdout, "run `make docs`"


def test_the_command_line_page_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cli_page(application, name="barlake")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert cli_page(application, name="barlake") == before


def test_every_command_and_option_is_on_the_command_line_page() -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    found = dict(commands(application))
    assert len(found) > 1
    for name, options in found.items():
        section = re.search(rf"^## {f'barlake {name}'.strip()}\n\n```text\n(.*?)```", page, re.MULTILINE | re.DOTALL)
        assert section, f"no section for barlake {name}"
        assert [option for option in options if option not in section[1]] == []


def test_every_command_says_what_it_does_and_every_option_too() -> None:
    silent = []
    waiting = [("barlake", get_command(application))]
    while waiting:
        name, command = waiting.pop()
        silent += [] if command.help else [name]
        silent += [f"{name} {part.name}" for part in command.params if not getattr(part, "help", None)]
        waiting.extend((f"{name} {child}", found) for child, found in getattr(command, "commands", {}).items())
    assert silent == []


def test_the_settings_page_describes_every_environment_name_and_no_other() -> None:
    names = environment_names(Settings)
    assert {"BARLAKE_ROOT", "ALPACA_API_KEY_ID", "ALPACA_KEY_ID", "IEX_TOKEN"} <= names
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    assert {name for row in rows for cell in row for name in re.findall(r"`(\w+)`", cell)} == names


def test_example_settings_name_only_settings_that_exist() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    named = {found[1] for line in lines if (found := re.match(r"#?([A-Z_]+)=", line))}
    assert named
    assert named - environment_names(Settings) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert dead_links(page.read_text(encoding="utf-8"), page) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Two words\n", encoding="utf-8")
    text = "# Here\n[a](page.md#two-words) [b](page.md#gone) [c](gone.md) [d](#here) [e](#there) [f](https://example.com/x)"
    assert dead_links(text, tmp_path / "other.md") == ["page.md#gone", "gone.md", "#there"]


def test_a_command_on_a_page_exists() -> None:
    assert words_after("make", "`make demo` and\nmake test\nthey make it") == {"demo", "test"}
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert words_after("make", pages) - targets == set()
    assert words_after("barlake", pages) - {name.split(" ")[0] for name, _ in commands(application)} == set()


def test_decisions_are_numbered_without_a_hole() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
