"""The first command: where the lake shall be, which key, which symbols."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from app.commands.options import AsJson
from app.console import notice, print_json, say
from barlake.errors import InvalidInputError, StorageError

__all__ = ["init"]

_STDIN = Path("-")


def init(
    symbols: Annotated[
        list[str] | None, typer.Argument(help="Symbols to keep complete, such as SPY QQQ.", show_default=False)
    ] = None,
    root: Annotated[
        str | None, typer.Option("--root", help="The lake: a folder, or s3://bucket/prefix. Default: data.")
    ] = None,
    key_id: Annotated[
        str | None, typer.Option("--key-id", help="Alpaca's key; its secret comes by --secret-file or is asked for.")
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", help="File whose first line is the secret; - is standard input.")
    ] = None,
    ask: Annotated[
        bool, typer.Option("--ask/--no-input", help="Ask for what is not given. Without a terminal nothing is asked.")
    ] = True,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Ask Alpaca whether it takes the key.")] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Set values that .env has already; its other lines stay.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Begin in this folder: ask for keys, lake and symbols, check them, and write .env, which only you may read.

    Without a key, made-up bars (`barlake demo`) and files (`barlake import`) work.
    """
    from app.beginning import Answers, begin, check_keys
    from barlake.records import utc_now
    from barlake.sessions import NEW_YORK

    asks = ask and sys.stdin.isatty() and secret_file != _STDIN
    key, secret = _keys(key_id, secret_file, asks=asks)
    answers = Answers(root=_root(root, asks=asks), symbols=_symbols(symbols, asks=asks), key_id=key, secret_key=secret)
    unknown = check_keys(answers) if check else None
    begun = begin(answers, Path.cwd(), force=force, today=utc_now().astimezone(NEW_YORK).date())
    notices = [*filter(None, [unknown]), *begun.notices]
    if as_json:
        watch_list = None if begun.watch_list is None else str(begun.watch_list)
        print_json(
            {"env_file": str(begun.env_file), "root": begun.root, "watch_list": watch_list, "has_key": key is not None,
             "is_checked": check and key is not None and unknown is None, "notices": notices}
        )  # fmt: skip
        return
    for one in notices:
        notice(one)
    say(f"{begun.env_file} is written, for your eyes only; the lake is {begun.root}")
    if begun.watch_list is not None:
        say(f"{begun.watch_list} lists {', '.join(answers.symbols)}")
    say(f"next: {_next(has_key=key is not None, has_list=begun.watch_list is not None)}")


def _root(given: str | None, *, asks: bool) -> str:
    if given is None and asks:
        return str(typer.prompt("Folder of the lake", default="data", err=True)).strip()
    return given or "data"


def _keys(key_id: str | None, secret_file: Path | None, *, asks: bool) -> tuple[str | None, SecretStr | None]:
    """Both, or neither."""
    if key_id is None and asks:
        said = "Alpaca's key (a free account at https://alpaca.markets has one; empty for none)"
        key_id = str(typer.prompt(said, default="", show_default=False, err=True)).strip() or None
    if key_id is None:
        if secret_file is not None:
            raise InvalidInputError("--secret-file was given without --key-id: give both, or neither.")
        return None, None
    if secret_file is not None:
        return key_id, SecretStr(_first_line(secret_file))
    if asks:
        return key_id, SecretStr(str(typer.prompt("Its secret (not shown)", hide_input=True, err=True)).strip())
    held = os.environ.get("ALPACA_API_SECRET_KEY", "").strip()
    if not held:
        raise InvalidInputError("--key-id was given without its secret: --secret-file FILE, or - for standard input.")
    return key_id, SecretStr(held)


def _first_line(path: Path) -> str:
    try:
        text = sys.stdin.readline() if path == _STDIN else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"--secret-file {path} cannot be read: {error}. Name a text file with one line.") from error
    if not (lines := text.strip().splitlines()):
        raise InvalidInputError(f"--secret-file {path} is empty: its first line shall be the secret.")
    return lines[0].strip()


def _symbols(given: list[str] | None, *, asks: bool) -> tuple[str, ...]:
    if given is None and asks:
        said = str(typer.prompt("Symbols to keep complete (empty for none yet)", default="SPY QQQ", err=True))
        given = said.replace(",", " ").split()
    return tuple(dict.fromkeys(one.upper() for one in given or ()))


def _next(*, has_key: bool, has_list: bool) -> str:
    if not has_key:
        return "`barlake demo` for made-up bars, `barlake import PATH --feed NAME` for files of yours"
    if has_list:
        return "`barlake update` brings their bars, `barlake doctor` looks at all that the work depends on"
    return "`barlake ingest SPY` brings bars, `barlake doctor` looks at all that the work depends on"
