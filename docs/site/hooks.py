"""What the site's builder does with pages that were written to be read in the project's folder as well.

Tutorials are scripts there and pages here; a link to a file that is no page becomes the file's name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)\s]*|[^)\s:]*\.py)\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)
_PROJECT = Path(__file__).resolve().parents[2]


def on_config(config: Any) -> Any:
    """The navigation, with the decisions at its end."""
    pages = sorted((_PROJECT / "docs" / "decisions").glob("*.md"))
    config["nav"].append({"Decisions": [f"decisions/{page.name}" for page in pages]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """The files of the site, with a page for each tutorial."""
    for script in sorted((_PROJECT / "docs" / "tutorials").glob("*.py")):
        text = tutorial_page(script.read_text(encoding="utf-8"))
        files.append(File.generated(config, f"tutorials/{script.stem}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A page whose links all lead into the site."""
    folder = Path(page.file.src_uri).parent
    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else linked(part, folder) for part in parts)


def linked(text: str, folder: Path) -> str:
    """Text of a page in a folder of `docs`, with links to tutorials as pages and to files of the project as names."""

    def mended(found: re.Match[str]) -> str:
        words, target = found.groups()
        file = (_PROJECT / "docs" / folder / target.partition("#")[0]).resolve()
        if file.suffix == ".py" and file.parent.name == "tutorials":
            return f"[{words}]({target.removesuffix('.py')}.md)"
        if file.is_relative_to(_PROJECT / "docs") and file.suffix != ".py":
            return found[0]
        name = file.relative_to(_PROJECT).as_posix()
        return f"`{name}`" if words.strip("`") in name else f"{words} (`{name}`)"

    return _LINK.sub(mended, text)


def tutorial_page(script: str) -> str:
    """A script of cells as a page: its text as it is, its code in blocks."""
    _, *cells = _CELL.split(script)
    blocks = []
    for kind, cell in zip(cells[::2], cells[1::2], strict=True):
        if kind:
            blocks.append(re.sub(r"^# ?", "", cell.strip(), flags=re.MULTILINE))
        elif cell.strip():
            blocks.append(f"```python\n{cell.strip()}\n```")
    return "\n\n".join(blocks) + "\n"
