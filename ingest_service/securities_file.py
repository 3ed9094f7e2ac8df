"""`securities.yaml` read into a watch list, with file and line in every complaint.

The text is composed, not loaded: nodes keep their line, and YAML's own ideas (`ON` and `NO` as truth values,
`1e5` as a number) never touch a symbol. Anchors, tags and several documents in one file are refused: what
stands on a line is what it means.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

import yaml

from barlake.errors import BarlakeError, InvalidInputError, NotFoundError, did_you_mean
from barlake.keys import parse_symbol
from barlake.sessions import FIRST_SESSION_YEAR
from ingest_service.watch_list import CATEGORIES, RECORDS, Security, WatchList

__all__ = ["EXAMPLE", "ReadyMade", "read_ready_made", "read_securities_file", "ready_made_lists"]

EXAMPLE = """\
# The securities this lake is kept complete of; `barlake securities check` tells whether it can be read.

# First session wanted, for entries that name none of their own. Without it: the last 365 days.
start: {start}

# Feature sets that are kept up to date; [] for none.
features: [core]

# Lists that come with Barlake: `barlake securities list --ready-made`. Memberships change: look at their dates.
#include: [most-traded-etfs, dow-30]

# Categories: indices, etfs, stocks, crypto, or your own.
securities:
  etfs:
    - SPY
    - QQQ
  stocks:
    - symbol: AAPL
      enabled: true
  # An index is stored under its own name. What another source calls it stands below `names`; a fund that follows
  # an index is not the index, and its rows say where they come from.
  #indices:
  #  - symbol: SPX
  #    names: {{yahoo: ^GSPC}}
"""

_TOP = ("securities", "start", "features", "include", "records", "macro")
_ENTRY = ("symbol", "enabled", "names", "start")
_CATEGORY = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")
_LARGEST_BYTES = 1_000_000
_READY_MADE = ("as_of", "about", "securities")
_REFUSED = {
    yaml.AnchorToken: "an anchor (&)",
    yaml.AliasToken: "an alias (*)",
    yaml.TagToken: "a tag (!)",
    yaml.DirectiveToken: "a directive (%)",
    yaml.DocumentEndToken: "the end of a document (...)",
}
_OPENS = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSES = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_DEEPEST = 20


@dataclass(frozen=True)
class ReadyMade:
    """A list that comes with the package: who was on it, at which date."""

    name: str
    as_of: str
    about: str
    securities: tuple[Security, ...]


@dataclass
class _Faults:
    """Complaints about one file."""

    path: Path | str
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, node: yaml.Node, text: str) -> None:
        self.found.append((node.start_mark.line + 1, text))

    def raise_any(self) -> None:
        if self.found:
            lines = [f"{self.path}:{line}: {text}" for line, text in sorted(self.found)]
            raise InvalidInputError("\n".join(lines))


def ready_made_lists() -> list[str]:
    """Names of the lists that come with the package."""
    folder = resources.files("ingest_service") / "lists"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


@functools.cache
def read_ready_made(name: str) -> ReadyMade:
    """A list that comes with the package.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    known = ready_made_lists()
    if name not in known:
        raise NotFoundError(f"no ready-made list {name!r}: there are {', '.join(known)}.{did_you_mean(name, known)}")
    text = (resources.files("ingest_service") / "lists" / f"{name}.yaml").read_text(encoding="utf-8")
    faults = _Faults(f"{name}.yaml")
    keys = dict(_pairs(_compose(text, faults), _READY_MADE, faults))
    securities = _securities(keys.get("securities"), faults)
    faults.raise_any()
    told = {key: _scalar(keys[key], key, faults) for key in ("as_of", "about")}
    return ReadyMade(name, told["as_of"], told["about"], tuple(replace(one, included=name) for one in securities))


def read_securities_file(path: Path) -> WatchList:
    """See `watch_list.load_watch_list`."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"no watch list at {path}: `barlake securities init` writes one to start from.") from error
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}.") from error
    if len(raw) > _LARGEST_BYTES:
        raise InvalidInputError(f"{path} has {len(raw):,} bytes: a watch list has at most {_LARGEST_BYTES:,}.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InvalidInputError(f"{path}:{line}: byte {error.start} is not UTF-8 text: save it as UTF-8.") from error
    return _read(path, text)


def _read(path: Path, text: str) -> WatchList:
    faults = _Faults(path)
    root = _compose(text, faults)
    keys = dict(_pairs(root, _TOP, faults))
    start = _date(keys["start"], faults) if "start" in keys else None
    features = tuple(name for _, name in _texts(keys.get("features"), "features", faults)) if "features" in keys else ()
    records = _records(keys.get("records"), faults)
    macro = tuple(name.upper() for _, name in _texts(keys.get("macro"), "macro", faults)) if "macro" in keys else ()
    own = _securities(keys.get("securities"), faults)
    included, warnings = _included(keys.get("include"), faults)
    if not own and not included and not faults.found:
        faults.add(root, "no security is listed: name one below `securities`, or a list below `include`.")
    faults.raise_any()
    listed = {one.symbol: one for one in (*reversed(included), *reversed(own))}
    order = dict.fromkeys(one.symbol for one in (*own, *included))
    securities = tuple(replace(listed[name], start=listed[name].start or start) for name in order)
    warnings += [*_proxies(path, securities), *_strangers(path, own)]
    features = features if "features" in keys else ("core",)
    return WatchList(path, securities, features, tuple(warnings), records, macro)


def _records(node: yaml.Node | None, faults: _Faults) -> tuple[str, ...]:
    """Kinds of records that are kept of the securities."""
    if node is None:
        return ()
    found = list(_texts(node, "records", faults))
    for item, name in found:
        if name not in RECORDS:
            hint = did_you_mean(name, RECORDS)
            faults.add(item, f"records {name!r} are not known: there are {' and '.join(RECORDS)}.{hint}")
    return tuple(dict.fromkeys(name for _, name in found))


def _proxies(path: Path, securities: Sequence[Security]) -> list[str]:
    """One sentence for each index that is to be stored from a fund."""
    return [
        f"{path}:{one.line}: {one.symbol} is stored from Alpaca's {one.names['alpaca']}, which is not the index: its "
        f"prices are on another scale. Its rows say `{one.provenance('alpaca')}`."
        for one in securities
        if one.category == "indices" and "alpaca" in one.names
    ]


def _strangers(path: Path, securities: Sequence[Security]) -> list[str]:
    """One sentence for each source that is named and not there: a slip, or a package that is not installed."""
    named = {source: one.line for one in reversed(securities) for source in one.names}
    if not named:
        return []
    from ingest_service.sources.registry import sources  # noqa: PLC0415 - a third of a second, for those who name any

    known = list(sources())
    return [
        f"{path}:{line}: source {source!r} is not here, so its names are not used.{did_you_mean(source, known)}"
        for source, line in sorted(named.items())
        if source not in known
    ]


# --- YAML ------------------------------------------------------------------------------------------


def _compose(text: str, faults: _Faults) -> yaml.Node:
    """Root of the text's nodes."""
    depth = 0
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            depth += isinstance(token, _OPENS) - isinstance(token, _CLOSES)
            what = _REFUSED.get(type(token)) if depth <= _DEEPEST else "one bracket too deep"
            if what is not None:
                line = token.start_mark.line + 1
                raise InvalidInputError(
                    f"{faults.path}:{line}: {what}, which a watch list does not need: write what it stands for, in "
                    "quotes if it belongs to a name."
                )
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise InvalidInputError(f"{faults.path}:{line}: {_problem(error, text, line)}") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        place = getattr(error, "position", 0)
        line = text[:place].count("\n") + 1
        raise InvalidInputError(f"{faults.path}:{line}: a control character: delete it.") from error
    if root is None:
        raise InvalidInputError(f"{faults.path}:1: the file is empty: `barlake securities init` writes an example.")
    return root


def _problem(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    lines = text.splitlines()
    shown = lines[line - 1] if line <= len(lines) else ""
    if "\t" in shown[: len(shown) - len(shown.lstrip())] or "'\\t'" in str(error.problem):
        return "a tab: YAML is indented with spaces only."
    if "single document" in str(error.context):
        return "a second document (---): a watch list is one."
    if "cannot start any token" in str(error.problem):
        return f"{shown.strip()!r} begins with a character that YAML keeps for itself: put the name in quotes."
    return f"not YAML: {error.problem or error.context} near {shown.strip()!r}."


def _pairs(node: yaml.Node, known: Sequence[str], faults: _Faults) -> Iterator[tuple[str, yaml.Node]]:
    """Keys and values of a mapping, each key known and met once."""
    seen: dict[str, int] = {}
    for key, value in _mapping(node, f"the keys {', '.join(known)}", faults):
        name = key.value
        if name not in known:
            faults.add(key, f"key {name!r} is not one of {', '.join(known)}.{did_you_mean(name, known)}")
        elif name in seen:
            faults.add(key, f"key {name!r} stands on line {seen[name]} already: once is enough.")
        else:
            seen[name] = key.start_mark.line + 1
            yield name, value


def _mapping(node: yaml.Node, rule: str, faults: _Faults) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        faults.add(node, f"{_shown(node)} stands where {rule} belong.")
        return
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            yield key, value
        else:
            faults.add(key, f"{_shown(key)} is no key: a key is a word.")


def _scalar(node: yaml.Node, what: str, faults: _Faults) -> str:
    if isinstance(node, yaml.ScalarNode) and not _is_nothing(node):
        return str(node.value)
    faults.add(node, f"{what} is {_shown(node)}: give one value.")
    return ""


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in {"", "~"}


def _shown(node: yaml.Node) -> str:
    """A node in words, as a complaint calls it."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "nothing" if _is_nothing(node) else f"{str(node.value)[:40]!r}"


def _items(node: yaml.Node | None, what: str, faults: _Faults) -> Sequence[yaml.Node]:
    if node is None:
        return ()
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    faults.add(
        node, f"{what} is {_shown(node)}: give a list, such as `{what}: [one, two]` or lines that begin with `-`."
    )
    return ()


def _texts(node: yaml.Node | None, what: str, faults: _Faults) -> Iterator[tuple[yaml.Node, str]]:
    for item in _items(node, what, faults):
        text = _scalar(item, f"an entry of {what}", faults)
        if text:
            yield item, text


# --- what it says ----------------------------------------------------------------------------------


def _securities(node: yaml.Node | None, faults: _Faults) -> list[Security]:
    """Entries of all categories."""
    if node is None:
        return []
    found: list[Security] = []
    lines: dict[str, int] = {}
    categories: set[str] = set()
    for key, items in _mapping(node, "categories such as etfs", faults):
        category = _category(key, categories, faults)
        for item in _items(items, category, faults):
            security = _security(item, category, faults)
            if security is None:
                continue
            if security.symbol in lines:
                faults.add(item, f"symbol {security.symbol!r} stands on line {lines[security.symbol]} already.")
                continue
            lines[security.symbol] = security.line
            found.append(security)
    return found


def _category(key: yaml.ScalarNode, seen: set[str], faults: _Faults) -> str:
    name = str(key.value)
    near = did_you_mean(name.lower(), CATEGORIES)
    if not _CATEGORY.fullmatch(name):
        faults.add(key, f"category {name!r} is not a name: use 1 to 32 of a-z, 0-9, '-' and '_'.{near}")
    elif name in seen:
        faults.add(key, f"category {name!r} stands twice: put its entries together.")
    elif name not in CATEGORIES and near:
        # A category of one's own is welcome; `etf` is a slip, and would never be selected by `etfs`.
        faults.add(key, f"category {name!r} is too close to one of {', '.join(CATEGORIES)} to be another.{near}")
    seen.add(name)
    return name


def _security(node: yaml.Node, category: str, faults: _Faults) -> Security | None:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        symbol = _symbol(node, category, faults)
        return None if symbol is None else Security(symbol, category, line=line)
    keys = dict(_pairs(node, _ENTRY, faults))
    if "symbol" not in keys:
        if isinstance(node, yaml.MappingNode):
            faults.add(node, "an entry without `symbol`: every entry has one, such as `symbol: SPY`.")
        return None
    symbol = _symbol(keys["symbol"], category, faults)
    enabled = _flag(keys["enabled"], faults) if "enabled" in keys else True
    names = _names(keys["names"], faults) if "names" in keys else {}
    start = _date(keys["start"], faults) if "start" in keys else None
    return None if symbol is None else Security(symbol, category, enabled, names, start, line)


def _symbol(node: yaml.Node, category: str, faults: _Faults) -> str | None:
    text = _scalar(node, "symbol", faults)
    if not text:
        return None
    try:
        symbol = parse_symbol(text)
    except BarlakeError as error:
        faults.add(node, str(error))
        return None
    if ("/" in symbol) != (category == "crypto") and category in CATEGORIES:
        rule = "a pair such as BTC/USD" if category == "crypto" else "no pair: pairs belong below crypto"
        faults.add(node, f"symbol {text!r} stands below {category}, where a symbol is {rule}.")
    return symbol


def _flag(node: yaml.Node, faults: _Faults) -> bool:
    text = _scalar(node, "enabled", faults).lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text:
        faults.add(node, f"enabled is {text!r}: give true or false.")
    return True


def _names(node: yaml.Node, faults: _Faults) -> dict[str, str]:
    names: dict[str, str] = {}
    for key, value in _mapping(node, "sources and what they call it, such as `yahoo: ^GSPC`,", faults):
        source, name = str(key.value), _scalar(value, f"the name at {key.value}", faults).strip()
        if not _NAME.fullmatch(source):
            faults.add(key, f"source {source!r} is not a name: use 1 to 32 of a-z, 0-9, '-' and '_'.")
        elif source in names:
            faults.add(key, f"source {source!r} stands twice below one `names`.")
        elif name:
            names[source] = name
    return names


def _date(node: yaml.Node, faults: _Faults) -> dt.date | None:
    text = _scalar(node, "start", faults)
    if not text:
        return None
    try:
        day = dt.date.fromisoformat(text) if len(text) == len("2024-01-02") else None
    except ValueError:
        day = None
    if day is None:
        faults.add(node, f"start {text!r} is not a date: give one such as 2024-01-02.")
    elif day.year < FIRST_SESSION_YEAR:
        faults.add(node, f"start {text} is earlier than {FIRST_SESSION_YEAR}, where the calendar begins.")
    return day


def _included(node: yaml.Node | None, faults: _Faults) -> tuple[list[Security], list[str]]:
    """Securities of the ready-made lists named, and that their members were those of a date."""
    found: list[Security] = []
    warnings: list[str] = []
    for item, name in _texts(node, "include", faults):
        try:
            ready = read_ready_made(name)
        except NotFoundError as error:
            faults.add(item, str(error))
            continue
        line = item.start_mark.line + 1
        found += [replace(one, line=line) for one in ready.securities]
        warnings.append(f"{faults.path}:{line}: {name} has the members of {ready.as_of}: memberships change.")
    return found, warnings
