"""Bars from files that people have: Parquet and CSV, one file or a folder of them.

A file is read as it is named here and nothing is guessed that could be guessed wrong: instants need a
zone, either in the text or by option, and a row that cannot be read goes to quarantine with its reason.
One file is in memory at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from barlake.errors import BarlakeError, InvalidInputError, StorageError
from barlake.keys import PeriodLength, parse_feed, parse_symbol
from barlake.partition_write import WriteReport
from barlake.quality import QUARANTINE_COLUMNS, check_rows
from barlake.writer import IMPORT_SOURCE, BarWriter

__all__ = ["FileImport", "ImportReport", "find_bar_files", "import_bars", "read_bar_file"]

SUFFIXES = (".parquet", ".csv", ".csv.gz")
_SUFFIX = r"\.(parquet|csv|csv\.gz)$"

ALIASES = {
    "timestamp": ("ts", "t", "time", "datetime"),
    "open": ("o",),
    "high": ("h",),
    "low": ("l",),
    "close": ("c",),
    "volume": ("v",),
    "trade_count": ("n", "trades", "transactions"),
    "vwap": ("vw",),
    "symbol": ("ticker",),
}
"""Other spellings of a column that are read as it; upper and lower case are the same."""

_PRICES = ("open", "high", "low", "close", "vwap")
_COUNTS = ("volume", "trade_count")
_OPTIONAL = ("trade_count", "vwap")
_REQUIRED = ("timestamp", "open", "high", "low", "close", "volume")
_ENOUGH_ROWS = 30
_CLOCK = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?"
_NAIVE = _CLOCK + "$"
_ZONED = _CLOCK + r"\s?([Zz]|[+-]\d{2}(:?\d{2})?)$"


@dataclass(frozen=True)
class FileImport:
    """What one file brought for one symbol."""

    path: Path
    symbol: str
    report: WriteReport


@dataclass
class ImportReport:
    """What came of an import; `failures` are files that could not be imported, with the reason."""

    imported: list[FileImport] = field(default_factory=list)
    failures: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def total(self) -> WriteReport:
        """All files together."""
        return sum((one.report for one in self.imported), WriteReport())


@dataclass(frozen=True)
class _BarFile:
    """Readable rows by symbol, and the rows that are not."""

    rows: dict[str, pl.DataFrame]
    refused: dict[str, pl.DataFrame]


def find_bar_files(path: Path) -> list[Path]:
    """The file itself, or every bar file below a folder, in the order of their paths.

    Raises
    ------
    InvalidInputError
        If there is no such path, or nothing in it could hold bars.
    """
    if path.is_file():
        if not path.name.lower().endswith(SUFFIXES):
            raise InvalidInputError(f"{path} is not a bar file: {', '.join(SUFFIXES)} are read.")
        return [path]
    if not path.is_dir():
        raise InvalidInputError(f"{path} does not exist: name a file or a folder of {', '.join(SUFFIXES)} files.")
    found = sorted(one for one in path.rglob("*") if one.is_file() and one.name.lower().endswith(SUFFIXES))
    if not found:
        raise InvalidInputError(f"{path} holds no {', '.join(SUFFIXES)} file.")
    return found


def import_bars(
    writer: BarWriter,
    path: Path,
    *,
    feed: str,
    symbol: str | None = None,
    timezone: str | None = None,
    on_file: Callable[[Path, int, int], None] = lambda _path, _done, _total: None,
) -> ImportReport:
    """Merge every bar file of a path into the lake; importing it again changes nothing.

    Parameters
    ----------
    symbol
        For files without a symbol column; otherwise the folder `symbol=SPY` or the file's name says it.
    timezone
        Zone of timestamps that carry none, such as `America/New_York`.
    on_file
        Called before each file with its path, how many are done, and how many there are.

    Raises
    ------
    InvalidInputError
        If the path names one file and that cannot be imported. In a folder, such a file is reported in
        `failures` and the others are imported.
    StorageError
        If the disk is full or refuses; the files before are in the lake, the rest can be imported again.
    """
    feed = parse_feed(feed)
    files = find_bar_files(path)
    report = ImportReport()
    for done, file in enumerate(files):
        on_file(file, done, len(files))
        try:
            report.imported.extend(_import_file(writer, file, feed, symbol, timezone))
        except StorageError:
            raise
        except BarlakeError as error:
            if path.is_file():
                raise
            report.failures.append((file, str(error)))
    return report


def _import_file(
    writer: BarWriter, path: Path, feed: str, symbol: str | None, timezone: str | None
) -> list[FileImport]:
    content = read_bar_file(path, symbol=symbol, timezone=timezone)
    names = sorted(content.rows)
    for name in names:
        _refuse_if_hopeless(path, name, content.rows[name], content.refused[name])
    imports = []
    for name in names:
        rows, refused = content.rows[name], content.refused[name]
        report = writer.write(
            rows,
            feed=feed,
            symbol=name,
            source=IMPORT_SOURCE,
            origin=str(path.absolute()),  # one file is one origin, however it was named
            refused=refused,
            longest=PeriodLength.YEAR,
        )
        imports.append(FileImport(path, name, report))
    return imports


def _refuse_if_hopeless(path: Path, symbol: str, rows: pl.DataFrame, refused: pl.DataFrame) -> None:
    """A file that holds something other than minute bars is refused whole: nothing of it is stored."""
    check = check_rows(rows)
    bad = pl.concat([check.bad, refused]).sort("row_number")
    if check.good.is_empty():
        first = f" Row {bad.item(0, 'row_number')}: {bad.item(0, 'reason')}." if bad.height else ""
        raise InvalidInputError(f"{path}: none of the {bad.height} rows of {symbol} is a bar.{first}")
    steps = check.good["timestamp"].diff().drop_nulls().dt.total_minutes()
    if check.good.height >= _ENOUGH_ROWS and (shortest := steps.to_numpy().min()) > 1:
        raise InvalidInputError(
            f"{path}: bars of {symbol} are at least {shortest} minutes apart, so they are not 1-minute bars: "
            "import minute bars, longer ones are made from them."
        )


def read_bar_file(path: Path, *, symbol: str | None = None, timezone: str | None = None) -> _BarFile:
    """Rows of one file by symbol, in types that `BarWriter.write` takes.

    Raises
    ------
    InvalidInputError
        If the file cannot be read, lacks a column, or its instants have no zone and none was given.
    """
    frame = _rename(_read(path), path).with_row_index("row_number")
    stamp = _timestamp(frame, path, timezone)
    numbers = [_number(name, frame.schema[name], path) for name in (*_PRICES, *_COUNTS) if name in frame.columns]
    typed = frame.select("row_number", stamp, *numbers, _symbols(frame, path, symbol))
    refused = _unreadable(frame, typed)
    readable = typed.join(
        refused.select(pl.col("row_number").cast(typed.schema["row_number"])), on="row_number", how="anti"
    )
    names = typed["symbol"].unique().to_list()
    by_symbol = refused.join(
        typed.select(pl.col("row_number").cast(pl.Int64), "symbol"), on="row_number", how="left", maintain_order="left"
    )
    return _BarFile(
        {name: readable.filter(pl.col("symbol") == name).drop("symbol") for name in names},
        {name: by_symbol.filter(pl.col("symbol") == name).select(QUARANTINE_COLUMNS) for name in names},
    )


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.name.lower().endswith(".parquet"):
            frame = pl.read_parquet(path, hive_partitioning=False)
        else:
            # As text: a value that is no number must reach the quarantine as it stands in the file.
            frame = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInputError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if frame.is_empty():
        raise InvalidInputError(f"{path} holds no rows.")
    return frame


def _rename(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    meant = {alias: name for name, aliases in ALIASES.items() for alias in (name, *aliases)}
    chosen: dict[str, str] = {}
    for column in frame.columns:
        name = meant.get(column.strip().lower())
        if name is None:
            continue
        if name in chosen.values():
            raise InvalidInputError(f"{path}: more than one column can be read as {name}: keep one of them.")
        chosen[column] = name
    missing = [name for name in _REQUIRED if name not in chosen.values()]
    if missing:
        raise InvalidInputError(
            f"{path} lacks {_plural('column', missing)}; it has {', '.join(frame.columns)}. "
            "timestamp, open, high, low, close and volume are needed; trade_count and vwap may be missing."
        )
    return frame.select(list(chosen)).rename(chosen)


def _plural(noun: str, names: Sequence[str]) -> str:
    return f"the {noun}{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _timestamp(frame: pl.DataFrame, path: Path, timezone: str | None) -> pl.Expr:
    kind = frame.schema["timestamp"]
    column = pl.col("timestamp")
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        return column.dt.cast_time_unit("us").dt.convert_time_zone("UTC")
    if isinstance(kind, pl.Datetime):
        return _localize(column.dt.cast_time_unit("us"), path, timezone)
    if kind != pl.String:
        raise InvalidInputError(
            f"{path}: column timestamp is {kind}: give text such as 2024-01-02T14:30:00Z, or Parquet timestamps."
        )
    zoned = frame["timestamp"].str.contains(_ZONED).any()
    naive = frame["timestamp"].str.contains(_NAIVE).any()
    if zoned and naive:
        raise InvalidInputError(f"{path}: some timestamps carry a zone and some do not: write them all one way.")
    if not naive:
        # A date alone is no instant: its midnight would be a guess.
        instants = pl.when(column.str.contains(_ZONED)).then(column.str.replace(" ", "T"))
        return instants.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    text = column.str.replace("T", " ")
    with_seconds = pl.when(text.str.len_chars() == len("2024-01-02 14:30")).then(text + ":00").otherwise(text)
    return _localize(with_seconds.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False), path, timezone)


def _localize(naive: pl.Expr, path: Path, timezone: str | None) -> pl.Expr:
    if timezone is None:
        raise InvalidInputError(
            f"{path}: timestamps have no time zone: say which with --timezone, such as America/New_York or UTC."
        )
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidInputError(f"timezone {timezone!r} is not known: use a name such as America/New_York.") from error
    # A wall time that happens twice or never names no instant.
    return naive.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null").dt.convert_time_zone("UTC")


def _number(name: str, kind: pl.DataType, path: Path) -> pl.Expr:
    if not (kind.is_numeric() or kind in {pl.String, pl.Null}):
        raise InvalidInputError(f"{path}: column {name} is {kind}: give numbers.")
    value = pl.col(name)
    if kind == pl.String:
        value = value.str.strip_chars().replace("", None)
    number = value.cast(pl.Float64, strict=False)
    if name in _PRICES:
        return number.alias(name)
    if kind.is_integer():
        return value.cast(pl.Int64, strict=False).alias(name)
    return pl.when(number == number.round()).then(number).cast(pl.Int64, strict=False).alias(name)


def _symbols(frame: pl.DataFrame, path: Path, symbol: str | None) -> pl.Expr:
    if symbol is not None:
        return pl.lit(parse_symbol(symbol)).alias("symbol")
    if "symbol" in frame.columns:
        given = frame["symbol"].cast(pl.String).unique().to_list()
        if None in given:
            raise InvalidInputError(f"{path}: some rows have no symbol: fill the column, or give --symbol.")
        names = {name: parse_symbol(name) for name in given}
        return pl.col("symbol").cast(pl.String).replace_strict(names).alias("symbol")
    folder = next((part for part in path.parts if part.startswith("symbol=")), None)
    # Only the suffix goes: `BRK.B.csv` is not about BRK.
    name = folder.removeprefix("symbol=") if folder else re.sub(_SUFFIX, "", path.name, flags=re.IGNORECASE)
    try:
        return pl.lit(parse_symbol(unquote(name))).alias("symbol")
    except InvalidInputError as error:
        raise InvalidInputError(
            f"{path}: no symbol column, and the file's name is no symbol: give --symbol."
        ) from error


def _is_blank(column: pl.Series) -> pl.Series:
    """Where a value says that there is none; of what may be missing, `NaN` says so too."""
    blank = ["", "nan"] if column.name in _OPTIONAL else [""]
    return column.cast(pl.String).str.strip_chars().str.to_lowercase().is_in(blank)


def _unreadable(frame: pl.DataFrame, typed: pl.DataFrame) -> pl.DataFrame:
    """Rows with a value that is there but cannot be read as what its column is."""
    names = [name for name in typed.columns if name not in {"row_number", "symbol"}]
    lost = [
        pl.when(frame[name].is_not_null() & typed[name].is_null() & ~_is_blank(frame[name]))
        .then(pl.format(f"{name} {{}} cannot be read", pl.lit(frame[name].cast(pl.String))))
        for name in names
    ]  # fmt: skip
    text = [pl.col(name).cast(pl.String) for name in frame.columns if name != "row_number"]
    marked = frame.with_columns(pl.coalesce(lost).alias("reason")).filter(pl.col("reason").is_not_null())
    return marked.select(
        pl.col("row_number").cast(pl.Int64), "reason", pl.struct(text).struct.json_encode().alias("raw")
    )
