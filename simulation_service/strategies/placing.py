"""Strategy and bars -> signal frame, checked before anything is traded on it."""

from __future__ import annotations

import polars as pl

from barlake.errors import BarlakeError, InvalidInputError
from simulation_service.strategies.base import Strategy

__all__ = ["BAR_COLUMNS", "signal_frame", "signals_beside", "with_predictions"]

BAR_COLUMNS = ("symbol", "session", "timestamp", "open", "high", "low", "close", "volume")
"""What a strategy finds in every table of bars."""

_KEY = ["timestamp", "symbol"]


def signal_frame(strategy: Strategy, bars: pl.DataFrame) -> pl.DataFrame:
    """What a strategy wants in every bar of exactly the symbols it trades.

    Parameters
    ----------
    bars
        Columns `BAR_COLUMNS`, of one symbol or several, in any order of rows; others go along.

    Returns
    -------
    timestamp, symbol, signal (Float64, null holds), sorted by timestamp, then symbol: one row per bar.

    Raises
    ------
    InvalidInputError
        If a column is missing, a bar comes twice, a parameter is not allowed, the strategy trades other symbols, or
        it fails, or gives anything but one finite number or null per bar.
    """
    missing = [name for name in BAR_COLUMNS if name not in bars.columns]
    if missing:
        raise InvalidInputError(f"bars have no column {missing[0]!r}: a strategy is given {', '.join(BAR_COLUMNS)}.")
    wanted = strategy.traded_symbols()
    there = [] if wanted is None else sorted(bars["symbol"].unique())
    if wanted is not None and sorted(wanted) != there:
        raise InvalidInputError(
            f"bars are of {', '.join(there) or 'no symbol'}, but {type(strategy).__name__} trades {', '.join(wanted)}: "
            f"give it bars of these and no others, as in --symbol {','.join(wanted)}."
        )
    return signals_beside(strategy, bars)


def signals_beside(strategy: Strategy, bars: pl.DataFrame) -> pl.DataFrame:
    """`signal_frame` of bars that may lack a symbol, as those before its first bar do."""
    if not strategy.each_symbol:
        return _placed(strategy, _sorted(bars, _KEY))
    symbol = bars["symbol"]
    # Cheaper than counting them, which a sweep would do once for each of its sets.
    parts = [bars] if bars.is_empty() or (symbol == symbol[0]).all() else bars.partition_by("symbol")
    placed = [_placed(strategy, _sorted(part, ["timestamp"])) for part in parts]
    return placed[0] if len(placed) == 1 else pl.concat(placed).sort(_KEY)


def with_predictions(bars: pl.DataFrame, predictions: pl.DataFrame) -> pl.DataFrame:
    """Bars with the columns `prediction` and `model_signal`, null where the model predicted nothing.

    Parameters
    ----------
    predictions
        timestamp, symbol, prediction and signal: what the model predicted and what training made of it.
    """
    predicted = predictions.select("timestamp", "symbol", "prediction", model_signal="signal")
    return bars.join(predicted, on=_KEY, how="left", maintain_order="left")


def _sorted(bars: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    instants = bars["timestamp"].to_physical().to_numpy()
    if len(key) == 1 and (instants[1:] > instants[:-1]).all():
        return bars
    found = bars.sort(key)
    twice = found.select(pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in key)).to_series()
    if twice.any():
        row = found.row(int(twice.arg_true()[0]), named=True)
        raise InvalidInputError(f"{row['symbol']} has two bars at {row['timestamp']}: give each bar once.")
    return found


def _placed(strategy: Strategy, bars: pl.DataFrame) -> pl.DataFrame:
    return bars.select(*_KEY).with_columns(_checked(strategy, bars, _asked(strategy, bars)))


def _asked(strategy: Strategy, bars: pl.DataFrame) -> pl.Series:
    name = type(strategy).__name__
    try:
        found = strategy.signals(bars)
    except BarlakeError:
        raise
    except Exception as error:
        raise InvalidInputError(
            f"strategy {name} failed on {bars.height:,} bars ({type(error).__name__}: {error}): mend signals(bars)."
        ) from error
    if not isinstance(found, pl.Series):
        raise InvalidInputError(f"strategy {name} gave a {type(found).__name__}: return a polars Series, one per bar.")
    return found


def _checked(strategy: Strategy, bars: pl.DataFrame, found: pl.Series) -> pl.Series:
    """The series as `signal`, Float64, NaN as null."""
    name = type(strategy).__name__
    if found.len() != bars.height:
        raise InvalidInputError(
            f"strategy {name} gave {found.len():,} signals for {bars.height:,} bars: give one per bar, in their order."
        )
    if not (found.dtype.is_numeric() or found.dtype in {pl.Boolean, pl.Null}):
        raise InvalidInputError(
            f"strategy {name} gave signals of type {found.dtype}: give numbers, above 0 to be long, 0 to be flat."
        )
    signal = (found.cast(pl.Float64).fill_nan(None) + 0.0).alias("signal")  # minus zero becomes zero
    if signal.is_infinite().any():
        at = bars["timestamp"][int(signal.is_infinite().arg_true()[0])]
        raise InvalidInputError(f"strategy {name} gave an infinite signal at {at}: give finite numbers, or null.")
    return signal
