"""The plan of the house, checked: arrows point down, each foreign tongue has its room, nothing lies about.

Every check is a pure function from text to a list of faults, tried first on text that has the fault.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

import barlake
from barlake import errors
from barlake.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
GROUND = "barlake"
SERVICES = ("ingest_service", "feature_service", "training_service", "simulation_service")
TOP = "app"
PACKAGES = (GROUND, *SERVICES, TOP)
LONGEST_MODULE = 500

FACES = ("api", "commands", "dashboard")
ROOMS_BELOW = ("jobs", "operations", "sandbox", "schedules")
DOORS = {"app/commands/serve.py": "api", "app/commands/dashboard.py": "dashboard"}
"""Commands that open another face."""

HTTP = (
    "aiohttp",
    "fastapi",
    "httpx",
    "http.client",
    "http.server",
    "requests",
    "starlette",
    "urllib.request",
    "uvicorn",
)
HTTP_ROOMS = (
    "ingest_service/alpaca.py",
    "ingest_service/paced_http.py",
    "ingest_service/probe.py",
    "ingest_service/emulator/",
    "barlake/influx.py",
    "app/operations/senders.py",
    "app/api/",
)
ROOMS: dict[str, tuple[str, ...]] = {
    "alpaca": ("ingest_service/alpaca.py",),
    "duckdb": ("barlake/publish.py", "barlake/lake.py", "barlake/duckdb_source.py", "app/sandbox/"),
    "yaml": ("ingest_service/securities_file.py",),
    "adbc_driver_postgresql": ("barlake/postgres.py",),
    "structlog": ("app/operations/logs.py",),
    "smtplib": ("app/operations/senders.py",),
    "dbos": ("app/jobs/",),
    "websockets": ("ingest_service/live/stream.py",),
    "msgpack": ("ingest_service/live/stream.py", "ingest_service/emulator/"),
    "massive": ("ingest_service/sources/massive_source.py",),
    "yfinance": ("ingest_service/sources/yahoo.py",),
    "curl_cffi": ("ingest_service/sources/yahoo.py",),
    "alpha_vantage": ("ingest_service/sources/alpha_vantage.py",),
    "fredapi": ("ingest_service/sources/fred.py",),
    "ccxt": ("ingest_service/sources/ccxt_source.py",),
    **dict.fromkeys(HTTP, HTTP_ROOMS),
}
"""Library -> the files and folders that may import it."""

VIEW_SQL_ROOM = "barlake/publish.py"
VIEW_SQL = re.compile(
    r"\bcreate\s+(or\s+replace\s+)?(temp(orary)?\s+)?view\b|\b(read_parquet|parquet_scan)\s*\(", re.IGNORECASE
)

# Written in halves, so that this file may be read by its own checks.
UNFINISHED = re.compile(r"\b(" + "TO" + "DO|FIX" + "ME|X" + r"XX)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|ro" + r"ot|farm)/")
REGISTRY = re.compile(r"pypi\.(org|python)|python" + r"hosted|npmjs\.|index" + r"-url|find" + "-links", re.IGNORECASE)
SECRET = re.compile(
    r"\b(PK|AK)[A-Z0-9]{14,}\b|-----BEGIN [A-Z ]*PRIVATE"
    r" KEY|(?i:secret(_key)?\s*=\s*[\"']?[A-Za-z0-9/+]{30,})"
)
LOCK_FILES = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "yarn.lock")
TEXT_KINDS = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".json",
    ".yml",
    ".yaml",
    ".csv",
    ".ini",
    ".mako",
    ".j2",
    ".html",
    ".example",
}
TEXT_NAMES = {"Makefile", "LICENSE", "Dockerfile", "run", ".gitignore", ".dockerignore"}
NAMELESS_MODULES = ("utils.py", "util.py", "helpers.py", "common.py", "misc.py")

FRONT_DOOR = [
    "BarlakeError",
    "ConflictError",
    "CredentialsError",
    "FormatError",
    "InvalidInputError",
    "Lake",
    "LookAheadError",
    "NotFoundError",
    "Settings",
    "Snapshot",
    "SourceError",
    "StorageError",
    "open",
]
"""All of `barlake.__all__`, sorted."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def product_texts() -> list[Path]:
    """Everything a reader of the project sees; not data, not what tools leave behind."""
    folders = (*PACKAGES, "benchmarks", "deploy", "docs", "tests", ".ci", ".devcontainer")
    inside = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return sorted(
        path
        for path in (*inside, *ROOT.iterdir(), ROOT / "data" / "README.md")
        if path.is_file() and (path.suffix in TEXT_KINDS or path.name in TEXT_NAMES)
    )


# What the checks are -------------------------------------------------------------------------------


def imported(tree: ast.AST) -> Iterator[str]:
    """Absolute dotted names a module imports, at the top or inside a function, also by `import_module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__"}:
                yield str(node.args[0].value)


def upward_arrows(source: str, path: str) -> list[str]:
    own = path.split("/", maxsplit=1)[0]
    allowed = {GROUND: {GROUND}, TOP: set(PACKAGES), **{name: {GROUND, name} for name in SERVICES}}[own]
    found = {name.split(".")[0] for name in imported(ast.parse(source))} & set(PACKAGES)
    return [f"{path} imports {name}" for name in sorted(found - allowed)]


def inner_arrows_upward(source: str, path: str) -> list[str]:
    """Faces know no other face, use cases know no face, and the rooms below know neither."""
    own = path.split("/")[1].removesuffix(".py") if path.startswith(f"{TOP}/") else ""
    if own in FACES:
        barred = set(FACES) - {own, DOORS.get(path)}
    elif own == "use_cases":
        barred = set(FACES)
    elif own in ROOMS_BELOW:
        barred = {*FACES, "use_cases"}
    else:
        return []
    names = (name.split(".") for name in imported(ast.parse(source)))
    found = {parts[1] for parts in names if parts[0] == TOP and len(parts) > 1} & barred
    return [f"{path} imports {TOP}.{name}" for name in sorted(found)]


def tongues_out_of_room(source: str, path: str) -> list[str]:
    names = set(imported(ast.parse(source)))
    return [
        f"{path} imports {library}, which only {', '.join(rooms)} may"
        for library, rooms in ROOMS.items()
        if any(name == library or name.startswith(f"{library}.") for name in names) and not path.startswith(rooms)
    ]


def docstring_nodes(tree: ast.AST) -> set[int]:
    """Identities of the constants that are docstrings, or texts standing alone below an assignment."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def view_sql_out_of_room(source: str, path: str) -> list[str]:
    tree = ast.parse(source)
    prose = docstring_nodes(tree)
    return [
        f"{path}:{node.lineno} holds view SQL, which only {VIEW_SQL_ROOM} may"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in prose
        and VIEW_SQL.search(node.value)
        and path != VIEW_SQL_ROOM
    ]


def public_definitions(tree: ast.Module) -> Iterator[Function | ast.ClassDef]:
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            waiting.extend(node.body)


def repeats_another(node: Function | ast.ClassDef) -> bool:
    """Overloads and setters are described where the implementation or the getter stands."""
    names = {part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in node.decorator_list}
    return bool(names & {"overload", "setter", "override"})


def undescribed(source: str, path: str) -> list[str]:
    tree = ast.parse(source)
    faults = [] if ast.get_docstring(tree) else [f"{path} does not say what it is for"]
    faults += [
        f"{path}:{node.lineno} {node.name} has no docstring"
        for node in public_definitions(tree)
        if not ast.get_docstring(node) and not repeats_another(node)
    ]
    return faults


def untyped(source: str, path: str) -> list[str]:
    faults = []
    for node in public_definitions(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            continue
        arguments = node.args
        every = [
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ]
        bare = [part.arg for part in every if part and part.annotation is None and part.arg not in {"self", "cls"}]
        if bare or node.returns is None:
            faults.append(f"{path}:{node.lineno} {node.name} lacks types: {', '.join([*bare, 'return'])}")
    return faults


def too_long(source: str, path: str) -> list[str]:
    lines = source.count("\n")
    return [f"{path} has {lines} lines, more than {LONGEST_MODULE}"] if lines > LONGEST_MODULE else []


def forbidden_words(text: str, path: str) -> list[str]:
    rules = (
        ("unfinished", UNFINISHED),
        ("path of one machine", MACHINE_PATH),
        ("package registry", REGISTRY),
    )
    return [
        f"{path}:{number} {name}: {line.strip()[:80]}"
        for number, line in enumerate(text.splitlines(), start=1)
        for name, rule in rules
        if rule.search(line)
    ]


def secrets(text: str, path: str) -> list[str]:
    return [
        f"{path}:{number} looks like a secret"
        for number, line in enumerate(text.splitlines(), start=1)
        if SECRET.search(line)
    ]


def never_read(names: Iterable[str], sources: Iterable[str]) -> list[str]:
    """Names that no source reads as an attribute."""
    used = {node.attr for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    return sorted(set(names) - used)


def nameless(path: str) -> list[str]:
    return [f"{path} says nothing by its name"] if path.rsplit("/", maxsplit=1)[-1] in NAMELESS_MODULES else []


def tree_in_docstring(docstring: str) -> dict[str, str]:
    """Class -> its parent in the drawn tree, by the depth of its branch."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in docstring.splitlines():
        drawn = re.match(r"^([\s│├└─]*)(\w+Error)\b", line)
        if not drawn:
            continue
        depth, name = len(drawn[1]), drawn[2]
        while above and above[-1][0] >= depth:
            above.pop()
        if above:
            parents[name] = above[-1][1]
        above.append((depth, name))
    return parents


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([A-Za-z0-9.+!]+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def bad_pins(text: str) -> list[str]:
    return [line for line in text.splitlines() if not pins(line)]


# Planted faults: no check that cannot fail ---------------------------------------------------------

PLANTED: list[tuple[Callable[[str, str], list[str]], str, str]] = [
    (upward_arrows, "import app.cli", "barlake/lake.py"),
    (upward_arrows, "def f():\n    from ingest_service.gaps import scan", "barlake/lake.py"),
    (upward_arrows, "from feature_service import sets", "training_service/train.py"),
    (
        upward_arrows,
        "import importlib\nimportlib.import_module('training_service.folds')",
        "simulation_service/main.py",
    ),
    (inner_arrows_upward, "from app.commands.jobs import worker", "app/api/routes/jobs.py"),
    (inner_arrows_upward, "def f():\n    from app import dashboard", "app/commands/serve.py"),
    (inner_arrows_upward, "import app.api.cursors", "app/use_cases/bars.py"),
    (inner_arrows_upward, "from app.use_cases.agents import start_agent", "app/jobs/worker.py"),
    (tongues_out_of_room, "from alpaca.data import TimeFrame", "ingest_service/emulator/app.py"),
    (tongues_out_of_room, "import alpaca", "app/cli.py"),
    (tongues_out_of_room, "import duckdb", "feature_service/build.py"),
    (tongues_out_of_room, "import requests", "ingest_service/throttle.py"),
    (tongues_out_of_room, "from fastapi import FastAPI", "app/cli.py"),
    (tongues_out_of_room, "from urllib import request", "barlake/lake.py"),
    (view_sql_out_of_room, "QUERY = 'create or replace view bars as select 1'", "barlake/lake.py"),
    (view_sql_out_of_room, "def f(p):\n    return f\"select * from read_parquet('{p}')\"", "app/cli.py"),
    (undescribed, "x = 1", "barlake/a.py"),
    (undescribed, '"""A."""\ndef f() -> int:\n    return 1', "barlake/a.py"),
    (
        undescribed,
        '"""A."""\nclass C:\n    """C."""\n    def m(self) -> int:\n        return 1',
        "barlake/a.py",
    ),
    (untyped, "def f(x) -> int:\n    return x", "barlake/a.py"),
    (untyped, "def f(x: int):\n    return x", "barlake/a.py"),
    (untyped, "class C:\n    async def m(self, *, x=1) -> int:\n        return x", "barlake/a.py"),
    (too_long, "\n" * (LONGEST_MODULE + 1), "barlake/a.py"),
    (forbidden_words, "# TO" + "DO later", "barlake/a.py"),
    (forbidden_words, "see /ro" + "ot/data", "README.md"),
    (forbidden_words, "pip install --index" + "-url x", "README.md"),
    (secrets, "KEY = 'PK" + "ABCDEFGHIJKLMNOPQR'", "README.md"),
    (secrets, "-----BEGIN PRIVATE" + " KEY-----", "README.md"),
    (secrets, "secret_key = '" + "a1" * 20 + "'", "README.md"),
]

CLEAN: list[tuple[Callable[[str, str], list[str]], str, str]] = [
    (upward_arrows, "import barlake\nfrom training_service.folds import f", "training_service/train.py"),
    (upward_arrows, "import simulation_service.main\nimport feature_service", "app/wiring.py"),
    (inner_arrows_upward, "from app.api.server import serve\nimport app.use_cases.ingest", "app/commands/serve.py"),
    (inner_arrows_upward, "from app.jobs.queue import JobQueue", "app/use_cases/agents.py"),
    (tongues_out_of_room, "import alpaca.data\nimport requests", "ingest_service/alpaca.py"),
    (tongues_out_of_room, "from ingest_service.alpaca import AlpacaSource", "ingest_service/main.py"),
    (tongues_out_of_room, "import fastapi", "ingest_service/emulator/application.py"),
    (
        view_sql_out_of_room,
        '"""Never writes read_parquet(x)."""\nimport polars as pl\npl.read_parquet(1)',
        "app/cli.py",
    ),
    (view_sql_out_of_room, "QUERY = 'create view bars as select 1'", VIEW_SQL_ROOM),
    (undescribed, '"""A."""\ndef _f() -> int:\n    return 1', "barlake/a.py"),
    (untyped, "class C:\n    def m(self, x: int) -> int:\n        return x", "barlake/a.py"),
    (too_long, "\n" * LONGEST_MODULE, "barlake/a.py"),
    (forbidden_words, "at framework/root/ and https://example.com/work", "README.md"),
    (secrets, "ALPACA_API_SECRET_KEY=your-secret-key", ".env.example"),
]


@pytest.mark.parametrize(("check", "text", "path"), PLANTED)
def test_a_planted_fault_is_found(check: Callable[[str, str], list[str]], text: str, path: str) -> None:
    assert check(text, path)


@pytest.mark.parametrize(("check", "text", "path"), CLEAN)
def test_what_is_allowed_is_not_a_fault(check: Callable[[str, str], list[str]], text: str, path: str) -> None:
    assert check(text, path) == []


# The house itself ----------------------------------------------------------------------------------


def faults_in_modules(check: Callable[[str, str], list[str]], *, but: str | None = None) -> list[str]:
    return [
        fault
        for path in modules()
        if but is None or not relative(path).startswith(but)
        for fault in check(path.read_text(encoding="utf-8"), relative(path))
    ]


def faults_in_texts(check: Callable[[str, str], list[str]]) -> list[str]:
    return [fault for path in product_texts() for fault in check(path.read_text(encoding="utf-8"), relative(path))]


def test_every_package_is_looked_at() -> None:
    assert {relative(path).split("/")[0] for path in modules()} == set(PACKAGES)
    assert {"README.md", "Makefile", "pyproject.toml", ".ci/run"} <= {relative(path) for path in product_texts()}


def test_arrows_point_down() -> None:
    assert faults_in_modules(upward_arrows) == []


def test_faces_stand_on_use_cases_and_those_on_the_rooms_below() -> None:
    assert faults_in_modules(inner_arrows_upward) == []


def test_each_foreign_tongue_is_spoken_in_its_own_room() -> None:
    assert faults_in_modules(tongues_out_of_room) == []


@pytest.mark.parametrize("room", sorted({room for rooms in ROOMS.values() for room in rooms}))
def test_a_room_on_the_list_exists_and_uses_its_right(room: str) -> None:
    libraries = [library for library, rooms in ROOMS.items() if room in rooms]
    sources = [path.read_text(encoding="utf-8") for path in modules() if relative(path).startswith(room)]
    names = {name for source in sources for name in imported(ast.parse(source))}
    assert any(name == library or name.startswith(f"{library}.") for name in names for library in libraries)


def test_view_sql_is_written_in_one_module() -> None:
    assert faults_in_modules(view_sql_out_of_room) == []


def test_every_public_name_is_described() -> None:
    # Alembic calls the functions of a migration by names that are its own.
    assert faults_in_modules(undescribed, but="barlake/migrations/") == []


def test_every_public_function_is_typed() -> None:
    assert faults_in_modules(untyped) == []


def test_a_module_can_be_read_in_one_sitting() -> None:
    assert faults_in_modules(too_long) == []


def test_no_module_is_a_drawer_for_anything() -> None:
    assert nameless("barlake/utils.py")
    assert [fault for path in modules() for fault in nameless(relative(path))] == []


def test_product_text_names_no_machine_and_leaves_nothing_undone() -> None:
    assert faults_in_texts(forbidden_words) == []


def test_no_secret_lies_in_the_tree() -> None:
    assert faults_in_texts(secrets) == []


def test_no_setting_is_accepted_and_ignored() -> None:
    assert never_read(["root", "feed"], ["settings.root", "feed = 1"]) == ["feed"]
    sources = [path.read_text(encoding="utf-8") for path in modules() if path.name != "settings.py"]
    assert never_read(Settings.model_fields, sources) == []


def test_there_is_no_lock_file() -> None:
    assert [name for name in LOCK_FILES if (ROOT / name).exists()] == []


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    assert tree_in_docstring("    AError\n    ├── BError (x)\n    │   └── CError   c\n    └── DError") == {
        "BError": "AError",
        "CError": "BError",
        "DError": "AError",
    }
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    real = {
        name: parent.__name__
        for name, value in classes.items()
        for parent in value.__bases__
        if issubclass(parent, errors.BarlakeError)
    }
    assert tree_in_docstring(errors.__doc__ or "") == real
    assert set(errors.__all__) == {*classes, "did_you_mean"}


def test_the_front_door_is_small_and_pinned() -> None:
    assert sorted(barlake.__all__) == FRONT_DOOR
    assert all(hasattr(barlake, name) for name in FRONT_DOOR)


def test_constraints_pin_every_dependency_exactly_and_name_no_source() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert bad_pins("-e .\nnumpy>=2\nx @ file:///x\npolars==2.1.0 --hash=sha256:0") == [
        "-e .",
        "numpy>=2",
        "x @ file:///x",
        "polars==2.1.0 --hash=sha256:0",
    ]
    assert bad_pins(text) == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", line)[0]).lower() for line in wanted}
    assert names - set(pins(text)) - {project["name"]} == set()  # an extra may name the others
