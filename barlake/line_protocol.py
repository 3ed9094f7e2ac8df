"""Bars as InfluxDB line protocol: one line of text a bar. Pure.

The rules are those of https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/: a tag's commas,
equal signs and spaces are escaped, an integer ends in `i`, time is in nanoseconds. A value that is missing
or no finite number is left out of its line, since the protocol has no way to say it.
"""

from __future__ import annotations

import polars as pl

__all__ = ["lines"]

_TAGS = ("feed", "symbol")
_NO_FIELDS = (*_TAGS, "session", "timestamp", "ingested_at")


def lines(bars: pl.DataFrame, *, measurement: str) -> pl.Series:
    r"""One line for each bar, without its line break; a bar without any value has none.

    Integers are always written as such and floats never, so a field has one type in all lines.

    Parameters
    ----------
    bars
        feed, symbol, timestamp, and columns of numbers and truths, which become fields under their names.

    Examples
    --------
    >>> import datetime as dt
    >>> bar = {"feed": "sip", "symbol": "A=B", "timestamp": dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)}
    >>> lines(pl.DataFrame([bar | {"close": 10.5, "volume": 300}]), measurement="bars").to_list()
    ['bars,feed=sip,symbol=A\\=B close=10.5,volume=300i 1704205800000000000']
    """
    series = pl.concat_str(pl.lit(_escaped_name(measurement)), *(_tag(name) for name in _TAGS))
    fields = [_field(name, kind) for name, kind in bars.schema.items() if name not in _NO_FIELDS]
    values = pl.concat_str(fields, separator=",", ignore_nulls=True)
    nanoseconds = (pl.col("timestamp").dt.epoch("us") * 1000).cast(pl.String)
    line = pl.when(values != "").then(pl.concat_str(series, values, nanoseconds, separator=" "))
    return bars.select(line.alias("line"))["line"].drop_nulls()


def _escaped_name(name: str) -> str:
    return name.replace(",", "\\,").replace(" ", "\\ ")


def _tag(name: str) -> pl.Expr:
    marked = pl.col(name).str.replace_all(r"([,= ])", r"\$1")
    return pl.concat_str(pl.lit(f",{name}="), marked)


def _field(name: str, kind: pl.DataType) -> pl.Expr:
    value, text = pl.col(name), pl.col(name).cast(pl.String)
    if kind.is_float():
        value = pl.when(value.is_finite()).then(value)
    elif kind.is_integer():
        text = pl.concat_str(text, pl.lit("i"))
    return pl.when(value.is_not_null()).then(pl.concat_str(pl.lit(f"{name}="), text))
