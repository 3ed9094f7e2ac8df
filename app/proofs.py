"""The four proofs over what a lake holds: features, labels, folds and simulations."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from barlake.errors import InvalidInputError
from barlake.keys import ArtifactKind, SessionFilter, parse_symbol
from barlake.leak_proof import Effort, ProofReport

if TYPE_CHECKING:
    from barlake import Lake
    from feature_service.inputs import FeatureInputs

__all__ = ["feature_history", "prove_lake_features", "prove_lake_folds", "prove_lake_labels", "prove_lake_simulation"]


def prove_lake_features(
    lake: Lake,
    symbol: str,
    *,
    bars: int,
    seed: int,
    sweeps: int = 8,
    progress: Any = None,
    feed: str | None = None,
    **options: str,
) -> ProofReport:
    """Proof of a feature set over the newest bars of a symbol; `options` as in `builder_of`."""
    from feature_service.leak_proof import prove_features  # noqa: PLC0415 - polars plugins take a second

    features, inputs = _features_and_inputs(lake, symbol, feed, bars, options)
    return prove_features(features, inputs, effort=Effort(sweeps=sweeps), seed=seed, progress=progress)


def feature_history(
    lake: Lake, symbol: str, *, bars: int, seed: int, feed: str | None = None, **options: str
) -> pl.DataFrame:
    """How much history each feature of a set declares and needs, over the newest bars of a symbol."""
    from feature_service.leak_proof import history_table  # noqa: PLC0415 - as above

    features, inputs = _features_and_inputs(lake, symbol, feed, bars, options)
    return history_table(features, inputs, seed=seed)


def _features_and_inputs(
    lake: Lake, symbol: str, feed: str | None, bars: int, options: dict[str, str]
) -> tuple[Any, FeatureInputs]:
    from feature_service.build import builder_of  # noqa: PLC0415 - as above
    from feature_service.leak_proof import newest_bars  # noqa: PLC0415 - as above

    builder = builder_of(lake, **options)
    [target] = builder.source.targets([symbol], feed)
    return builder.feature_set.features, newest_bars(builder.read(target), _checked(bars))


def prove_lake_labels(
    lake: Lake,
    symbol: str,
    *,
    target: str,
    horizon: str,
    bars: int,
    seed: int,
    session: str = SessionFilter.REGULAR,
    feed: str | None = None,
    progress: Any = None,
) -> ProofReport:
    """Proof of the labels of a target over the newest bars of a symbol."""
    from training_service.labels import TargetSpec, make_labels  # noqa: PLC0415 - scikit-learn takes seconds
    from training_service.leak_proof import prove_labels  # noqa: PLC0415 - as above

    spec, own = TargetSpec.parse(target, horizon), lake.feed_of(symbol, feed)
    calendar = lake.calendar.of(own)
    held = lake.bars(symbol, session=session, feed=own).tail(_checked(bars))
    return prove_labels(lambda given: make_labels(given, spec, calendar=calendar), held, seed=seed, progress=progress)


def prove_lake_folds(
    lake: Lake, symbols: list[str], *, bars: int, seed: int, progress: Any = None, folds: int, **options: Any
) -> ProofReport:
    """Proof of a training's out-of-fold predictions; `options` as in `make_plan`, with target and horizon."""
    from training_service.dataset import Dataset  # noqa: PLC0415 - scikit-learn takes seconds
    from training_service.fits import model_maker  # noqa: PLC0415 - as above
    from training_service.fold_spec import FoldSpec  # noqa: PLC0415 - as above
    from training_service.labels import TargetSpec  # noqa: PLC0415 - as above
    from training_service.leak_proof import prove_folds  # noqa: PLC0415 - as above
    from training_service.models import ModelSpec  # noqa: PLC0415 - as above
    from training_service.plan import make_plan  # noqa: PLC0415 - as above
    from training_service.train import read_dataset  # noqa: PLC0415 - as above
    from training_service.walk import walk_forward  # noqa: PLC0415 - as above

    spec = TargetSpec.parse(options.pop("target"), options.pop("horizon"))
    model, fold_spec = ModelSpec(options.pop("estimator")), FoldSpec(folds)
    plan = make_plan(lake, symbols, spec=spec, model=model, search=None, folds=fold_spec, seed=seed, **options)
    dataset = read_dataset(lake, plan)
    newest = dataclasses.replace(dataset, frame=dataset.frame.tail(_checked(bars)))

    def predict_folds(given: Dataset) -> pl.DataFrame:
        done = walk_forward(given, fold_spec.split(given.frame), model_maker(plan), workers=1)
        return pl.concat(one.predictions for one in done)

    return prove_folds(predict_folds, newest, seed=seed, progress=progress)


def prove_lake_simulation(
    lake: Lake,
    symbol: str,
    *,
    model: str | None,
    signals: Path | None,
    cash: str,
    bars: int,
    seed: int,
    session: str | None = None,
    feed: str | None = None,
    progress: Any = None,
) -> ProofReport:
    """Proof of every fill and rule, on a model's predictions or signals from a file, over their newest bars."""
    from simulation_service.leak_proof import prove_simulation, replayed_account  # noqa: PLC0415 - numba takes seconds
    from simulation_service.market import Market  # noqa: PLC0415 - as above
    from simulation_service.signals import read_predictions, read_signals_file  # noqa: PLC0415 - as above
    from simulation_service.ticks import cash_to_ticks  # noqa: PLC0415 - as above

    name = parse_symbol(symbol)
    if model is not None:
        found = lake.artifacts.find(ArtifactKind.MODEL, model)
        wanted = read_predictions(lake.artifacts, found, symbol=name)
        feed, session = str(found.parameters["feed"]), str(found.parameters["session"])
    else:
        assert signals is not None  # noqa: S101 - one of the two is given
        wanted = read_signals_file(signals, symbol=name)
    wanted = wanted.tail(_checked(bars))
    first, end = wanted["timestamp"][0], wanted["timestamp"][-1] + dt.timedelta(minutes=1)
    hours, feed = session or SessionFilter.REGULAR, lake.feed_of(name, feed)
    held = lake.bars(name, first, end, session=hours, feed=feed)
    market_of = functools.partial(Market.of, feed=feed, hours=hours, calendar=lake.calendar)
    account = functools.partial(replayed_account, cash_ticks=cash_to_ticks(cash), market_of=market_of)
    return prove_simulation(account, held, wanted, seed=seed, progress=progress)


def _checked(bars: int) -> int:
    if bars <= 1:
        raise InvalidInputError(f"bars {bars} is too few: a proof needs two at least, and finds more with thousands.")
    return bars
