"""A range of bars elsewhere: into one file, a PostgreSQL table, or an InfluxDB."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import barlake
from app.commands.options import (
    AdjustmentOption,
    AsJson,
    AsOf,
    End,
    Root,
    SessionOption,
    Start,
    Symbols,
    TimeframeOption,
)
from app.console import notice, print_json, progress, say
from barlake.errors import InvalidInputError
from barlake.exporting import BarExport, BarSelection
from barlake.keys import Adjustment, SessionFilter, Timeframe

if TYPE_CHECKING:
    from barlake.lake import Lake

__all__ = ["application"]

application = typer.Typer(
    help="Write a range of bars to a file, PostgreSQL or InfluxDB.", no_args_is_help=True, rich_markup_mode=None
)

ExportFeed = Annotated[
    str | None,
    typer.Option("--feed", help="Default: sip, then iex, then the only other; without symbols, every feed."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Put it in place of a file that is there.")]


@application.command("file")
def file(
    to: Annotated[Path, typer.Option("--to", help="A .parquet, .csv or .csv.gz file.", show_default=False)],
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    timeframe: TimeframeOption = Timeframe.MINUTE.value,
    session: SessionOption = SessionFilter.ALL.value,
    as_of: AsOf = None,
    adjustment: AdjustmentOption = Adjustment.RAW.value,
    feed: ExportFeed = None,
    overwrite: Overwrite = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Write bars into one file, whole or not at all."""
    from barlake.export_files import write_export, writer_of

    chosen = BarSelection(symbols or None, start, end, timeframe, session, feed, as_of, adjustment)
    write = writer_of(to)
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        export = BarExport(lake, chosen)
        bars, size = write_export(export, to, write, overwrite=overwrite, on_piece=begin("export"))
    _report(export, {"bars": bars, "bytes": size, "file": str(to)}, f"{bars:,} bars written to {to}", as_json=as_json)


@application.command("postgres")
def postgres(
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="postgresql://user@host/database, without a password. Default: the environment's."),
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", help="Default: bars, or by timeframe and adjustment: bars_1d_split.")
    ] = None,
    timeframe: TimeframeOption = Timeframe.MINUTE.value,
    session: SessionOption = SessionFilter.ALL.value,
    as_of: AsOf = None,
    adjustment: AdjustmentOption = Adjustment.RAW.value,
    feed: ExportFeed = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Bring a PostgreSQL table up to the lake, in one transaction. Again changes nothing.

    The address is read from BARLAKE_EXPORT_POSTGRES_URL. Bars of the range that the lake does not have are
    deleted from the table.
    """
    from barlake.postgres import export_to_postgres

    chosen = BarSelection(symbols or None, start, end, timeframe, session, feed, as_of, adjustment)
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        export = BarExport(lake, chosen)
        report = export_to_postgres(export, _address(lake, url), table=table, on_piece=begin("export"))
    said = ", ".join(f"{vars(report)[name]:,} {name}" for name in ("inserted", "updated", "unchanged", "deleted"))
    _report(export, vars(report), f"table {report.table}: {said}", as_json=as_json)


@application.command("influx")
def influx(
    to: Annotated[
        str,
        typer.Option(
            "--to", help="A file, - for stdout, or an address such as http://host:8086/write?db=x.", show_default=False
        ),
    ],
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    timeframe: TimeframeOption = Timeframe.MINUTE.value,
    session: SessionOption = SessionFilter.ALL.value,
    as_of: AsOf = None,
    adjustment: AdjustmentOption = Adjustment.RAW.value,
    feed: ExportFeed = None,
    overwrite: Overwrite = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Write bars as InfluxDB line protocol, to a file or to a server.

    The token is read from BARLAKE_INFLUX_TOKEN.
    """
    from barlake.export_files import write_export, write_lines
    from barlake.influx import post_lines

    if to == "-" and as_json:
        raise InvalidInputError("--json prints to stdout, where --to - writes the lines: leave one of them out.")
    chosen = BarSelection(symbols or None, start, end, timeframe, session, feed, as_of, adjustment)
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        export = BarExport(lake, chosen)
        advance = begin("export")
        if to == "-":
            bars = write_lines(export, sys.stdout.buffer, advance)
        elif "://" in to:
            bars = post_lines(export, to, token=lake.settings.influx_token, on_piece=advance)
        else:
            bars, _ = write_export(export, Path(to), write_lines, overwrite=overwrite, on_piece=advance)
    if to == "-":
        notice(f"{bars:,} bars")
        return
    target = to.partition("?")[0] if "://" in to else to
    facts = {"bars": bars, "to": target, "measurement": export.name}
    _report(export, facts, f"{bars:,} bars written to {target}", as_json=as_json)


def _report(export: BarExport, facts: dict[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**facts, **export.description()})
    else:
        say(said)


def _address(lake: Lake, url: str | None) -> Any:
    """Where the database is; an address that everybody may read in the list of processes holds no password."""
    from pydantic import SecretStr

    from barlake.postgres import URL_NAME, has_password

    if url is None:
        if lake.settings.export_postgres_url is None:
            raise InvalidInputError(f"no database is named: set {URL_NAME}, or give --url without a password.")
        return lake.settings.export_postgres_url
    if has_password(url):
        raise InvalidInputError(
            "--url carries a password, which every user of this machine could see: put the address into "
            f"{URL_NAME}, or the password into PGPASSWORD or ~/.pgpass."
        )
    return SecretStr(url)
