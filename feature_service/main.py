"""`python -m feature_service.main SPY QQQ`: build the features of some symbols, or of all."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import barlake
from barlake.errors import BarlakeError
from barlake.keys import Adjustment
from feature_service.build import BuildReport, build_features

__all__ = ["main"]

_EPILOG = """
environment: SOURCE_DUCKDB_PATH reads bars from a DuckDB file with a view or table `bars` instead of the lake;
DEST_PARQUET_DIR holds the tables instead of <lake>/features; DEST_DUCKDB_PATH is the catalogue to publish
instead of <lake>/duckdb/market.duckdb.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 built or unchanged, 1 refused with one message, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        report = _build(options, console)
    except BarlakeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: symbols that were finished are kept, nothing is half written.\n")
        return 130
    sys.stdout.write(f"{json.dumps(report.as_dict(), indent=2) if options.json else _text(report)}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m feature_service.main",
        description="Build a feature set over the whole history of symbols.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("symbols", nargs="*", metavar="SYMBOL", help="such as SPY; none means all")
    parser.add_argument("--root", help="folder of the lake (default: BARLAKE_ROOT or ./data)")
    parser.add_argument("--feed", help="default: sip before iex before the only other one")
    parser.add_argument("--session", choices=["regular", "all"], default="regular", help="hours to use")
    parser.add_argument("--set", dest="set_name", default="core", help="core, full, one of a package, or a file")
    parser.add_argument("--adjustment", choices=list(Adjustment), default="raw", help="of prices")
    parser.add_argument("--context", metavar="SYMBOL", help="other symbol that features look at, or none")
    parser.add_argument("--workers", type=int, help="symbols at a time (default: BARLAKE_WORKERS, or one per core)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _build(options: argparse.Namespace, console: Console) -> BuildReport:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with barlake.open(options.root) as lake, Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("features", total=None)
        return build_features(
            lake,
            options.symbols,
            feed=options.feed,
            session=options.session,
            set_name=options.set_name,
            adjustment=options.adjustment,
            context=options.context,
            workers=options.workers,
            progress=lambda symbol, done, total: bar.update(
                task, description=f"features {symbol}".strip(), completed=done, total=total
            ),
        )


def _text(report: BuildReport) -> str:
    lines = [
        f"{one.symbol} {one.feed} {one.feature_set} v={one.version}: {one.rows:,} rows, "
        f"{one.files_written} files written, {one.seconds:.1f} s"
        for one in report.symbols
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
