"""A training's report for a terminal: every score with its interval, beside the baselines and by fold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rich.box
from rich.console import Console
from rich.table import Table

from training_service.labels import TargetSpec
from training_service.report import TrainReport
from training_service.scores import BASELINES, METRICS
from training_service.targets import Task
from training_service.tries import deflation_sentence

__all__ = ["print_report"]

_INTERVAL = "95 % interval"
_SMALL = 0.1


def print_report(report: TrainReport, console: Console) -> None:
    """Print scores beside the baselines, what the join dropped, the model's id and what to run next."""
    results, options = report.results, report.parameters
    spec = TargetSpec.parse(
        options["target"], options["horizon"], task=options["task"], parameters=options["target_parameters"]
    )
    overall = results["overall"]
    console.print(
        f"{report.symbols[0]}: {spec.title}, {options['estimator']}, {len(results['folds'])} walk-forward folds, "
        f"{overall['rows']:,} labelled test rows in {overall['sessions']:,} sessions"
    )
    console.print(_features(options), markup=False)
    console.print(_score_table(overall, spec.task))
    console.print(_fold_table(results["folds"], spec.task))
    if results["combinatorial"] is not None:
        _print_paths(results["combinatorial"], console)
    _print_models(results, console)
    join = results["join"]
    for symbol, rate in join["drop_rate_by_symbol"].items():
        console.print(
            f"drop rate {symbol}: {rate:.3%} ({join['missing'][symbol]:,} of {join['primary_rows']:,} bars of "
            f"{report.symbols[0]} have no bar of {symbol} in the same minute)"
        )
    console.print(f"drop rate of the join: {join['drop_rate']:.3%} ({join['rows']:,} rows remain)")
    for fold in results["folds"]:
        if fold["empty_columns"]:
            console.print(f"fold {fold['fold']} knew no value of: {', '.join(fold['empty_columns'])}")
    console.print(report.verdict, markup=False)
    if report.deflation is not None:
        console.print(deflation_sentence(report.deflation))
    if report.placebo is not None:
        console.print(report.placebo.sentence)
    console.print(f"model {report.model_id} ({'made' if report.created else 'existed, nothing was written'})")
    console.print(f"next: {report.next_command}")


def _features(options: Mapping[str, Any]) -> str:
    """Which tables it learned from: two builds of a set may differ in these alone."""
    name, version = (options["feature_set"][part] for part in ("name", "version"))
    beside = "no context symbol" if options["context"] is None else f"context symbol {options['context']}"
    return f"features {name} {version}: adjustment {options['adjustment']}, {options['session']} session, {beside}"


def _score_table(scores: Mapping[str, Any], task: Task) -> Table:
    """One row for each metric over all test rows: the model with its interval, then the baselines."""
    table = _table("", "model", _INTERVAL, *BASELINES[task].values())
    for name in METRICS[task]:
        found = scores["metrics"][name]
        interval = "-" if found["low"] is None else f"{_figure(found['low'])} to {_figure(found['high'])}"
        beside = (_figure(scores["baselines"][baseline][name]) for baseline in BASELINES[task])
        table.add_row(_title(name), _figure(found["value"]), interval, *beside)
    return table


def _print_paths(found: Mapping[str, Any], console: Console) -> None:
    """How far the scores of many histories lie apart."""
    console.print(f"other histories (paths: {found['paths']}, fits: {found['fits']}), least, middle and greatest:")
    for name, one in found["metrics"].items():
        console.print(f"  {_title(name)} {_figure(one['low'])}, {_figure(one['median'])}, {_figure(one['high'])}")


def _print_models(results: Mapping[str, Any], console: Console) -> None:
    """What early stopping and searches settled, fold by fold."""
    named = [(f"fold {fold['fold']}", fold["model"]) for fold in results["folds"]]
    for name, model in [*named, ("last model", results["model"])]:
        told = []
        if "iterations" in model:
            told.append(f"iterations: {model['iterations']}")
        if "search" in model:
            best = ", ".join(f"{key}={value}" for key, value in model["search"]["best"].items())
            failed = sum(one["error"] is not None for one in model["search"]["tried"])
            told.append(f"{best} of {len(model['search']['tried'])} tries, {failed} failed")
        if told:
            console.print(f"{name}: {'; '.join(told)}", markup=False)


def _fold_table(folds: list[Mapping[str, Any]], task: Task) -> Table:
    """One row for each fold with its first session: the model's metrics."""
    table = _table("", *(_title(name) for name in METRICS[task]))
    for fold in folds:
        metrics = fold["scores"]["metrics"]
        values = (_figure(metrics[name]["value"]) for name in METRICS[task])
        table.add_row(f"fold {fold['fold']}, {fold['first_session']}", *values)
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", overflow="fold", no_wrap=name == _INTERVAL)
    return table


def _title(metric: str) -> str:
    return metric.replace("_", " ")


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:.4f}" if abs(value) >= _SMALL else f"{value:#.3g}"
