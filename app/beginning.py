"""The first minute: what a person answers becomes `.env`, a watch list and a lake, after it was checked."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from app.env_file import names_set_in, with_values, write_private
from barlake.durable import storage_errors
from barlake.errors import ConflictError, CredentialsError, InvalidInputError
from barlake.keys import parse_symbol
from barlake.lake import open_lake
from barlake.settings import load_settings

__all__ = ["KEY_ID", "SECRET_KEY", "Answers", "Begun", "begin", "check_keys"]

KEY_ID, SECRET_KEY = "ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"
_ROOT = "BARLAKE_ROOT"
_WATCH_LIST = Path("securities.yaml")
_HISTORY = dt.timedelta(days=365)
_OK, _REFUSED = 200, (401, 403)
_WATCHED = """\
# The securities this lake is kept complete of; `barlake securities check` tells whether it can be read.
start: {start}
features: [core]
securities:
"""


@dataclass(frozen=True)
class Answers:
    """What was answered.

    Parameters
    ----------
    root
        The lake: a folder, or s3://bucket/prefix.
    symbols
        What to keep complete; none writes no watch list.
    key_id, secret_key
        Alpaca's, both or neither.
    """

    root: str
    symbols: tuple[str, ...] = ()
    key_id: str | None = None
    secret_key: SecretStr | None = None

    def __post_init__(self) -> None:
        if (self.key_id is None) != (self.secret_key is None):
            raise InvalidInputError(
                "of the two keys of Alpaca only one was given: give both, or neither to begin without Alpaca."
            )
        for symbol in self.symbols:
            parse_symbol(symbol)

    def values(self) -> dict[str, str]:
        """Lines of `.env`, by name."""
        found = {_ROOT: self.root}
        if self.key_id is not None and self.secret_key is not None:
            found |= {KEY_ID: self.key_id.strip(), SECRET_KEY: self.secret_key.get_secret_value().strip()}
        return found


@dataclass(frozen=True)
class Begun:
    """What was made, and what stands in its way.

    Parameters
    ----------
    watch_list
        None where none was asked for, or one was there.
    notices
        Sentences to tell.
    """

    env_file: Path
    root: str
    watch_list: Path | None
    notices: tuple[str, ...]


def check_keys(answers: Answers) -> str | None:
    """A sentence on what could not be found out; None when Alpaca takes the key, or there is none.

    Raises
    ------
    CredentialsError
        If Alpaca refuses the key.
    """
    if answers.key_id is None or answers.secret_key is None:
        return None
    from ingest_service.alpaca import data_url, resolve_feed  # noqa: PLC0415 - a second of import
    from ingest_service.probe import NO_RECENT_SIP, ask_alpaca  # noqa: PLC0415 - the same

    settings = load_settings(answers.root)
    own = {"alpaca_key_id": SecretStr(answers.key_id), "alpaca_secret_key": answers.secret_key}
    settings = settings.model_copy(update=own)
    base_url = data_url(settings.alpaca_data_url)
    feed = resolve_feed(settings.alpaca_feed)
    answer = ask_alpaca(base_url, settings, feed=feed, symbol="SPY")
    if answer.status is None:
        return f"the key is not checked: no answer from {base_url} ({answer.error}). `barlake doctor` asks again."
    if answer.status == _OK or answer.code == NO_RECENT_SIP:
        return None
    said = f"HTTP {answer.status}" + (f", {answer.message}" if answer.message else "")
    if answer.status not in _REFUSED:
        return (
            f"the key is not checked: {base_url} gave no bars of feed {feed!r} ({said}). ALPACA_FEED and "
            "ALPACA_DATA_URL say what is asked and where; `barlake doctor` asks again."
        )
    raise CredentialsError(
        f"{base_url} refuses the key {answers.key_id!r} ({said}): copy key and secret anew from the "
        "account's page, without blanks; a new key needs a minute. Nothing was written."
    )


def begin(answers: Answers, folder: Path, *, force: bool, today: dt.date) -> Begun:
    """Write `.env` and the watch list into a folder, and open the lake once.

    Parameters
    ----------
    force
        Set values that an existing `.env` has; else it is left alone.
    today
        Bars are wanted from a year before.

    Raises
    ------
    ConflictError
        If the `.env` has one of these values and `force` is False; nothing was written.
    InvalidInputError, StorageError
        If a value cannot stand in a file, or the lake cannot be opened there; `.env` stays as it was.
    """
    path = folder / ".env"
    held = path.read_text(encoding="utf-8") if path.is_file() else ""
    values = answers.values()
    if not force and (there := sorted(names_set_in(held) & values.keys())):
        raise ConflictError(
            f"{path} sets {', '.join(there)} already and stays as it is: edit it, or say --force, which sets "
            "these and keeps every other line."
        )
    text = with_values(held, values)
    open_lake(_place(answers.root, folder)).close()
    write_private(path, text)
    watch_list, notices = _begin_watch_list(folder, answers.symbols, today - _HISTORY)
    return Begun(path, answers.root, watch_list, (*notices, *_hidden_by_environment(values), *_seen_by_git(folder)))


def _place(root: str, folder: Path) -> str:
    return root if "://" in root else str(folder / root)


def _begin_watch_list(folder: Path, symbols: Sequence[str], start: dt.date) -> tuple[Path | None, list[str]]:
    if not symbols:
        return None, []
    path = folder / _WATCH_LIST
    if path.exists():
        return None, [f"{path} is there and stays as it is: add {', '.join(symbols)} to it by hand."]
    with storage_errors(path), path.open("x", encoding="utf-8") as stream:
        stream.write(_WATCHED.format(start=start) + _categories(symbols))
    return path, []


def _categories(symbols: Sequence[str]) -> str:
    """Coins are named as pairs, `BTC/USD`."""
    kinds = {"stocks": [one for one in symbols if "/" not in one], "crypto": [one for one in symbols if "/" in one]}
    found = {name: "".join(f"    - {one}\n" for one in members) for name, members in kinds.items() if members}
    return "".join(f"  {name}:\n{lines}" for name, lines in found.items())


def _hidden_by_environment(values: dict[str, str]) -> list[str]:
    """The environment wins over `.env`."""
    hidden = sorted(name for name, value in values.items() if os.environ.get(name, value) != value)
    return [f"{', '.join(hidden)} of the environment wins over the new .env: unset it."] if hidden else []


def _seen_by_git(folder: Path) -> list[str]:
    if not (folder / ".git").exists():
        return []
    ignore = folder / ".gitignore"
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
    if {".env", "/.env", ".env*", "*.env"} & {line.strip() for line in lines}:
        return []
    return ["this folder is a git repository that does not ignore .env: add a line .env to .gitignore, it holds keys."]
