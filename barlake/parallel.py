"""Work that is done item by item, on several cores at a time: through joblib, with one rule for threads.

Each worker is a process. It gets `cores // workers` threads for what runs inside it (polars, OpenMP, BLAS), so
that four workers on four cores do not start sixteen threads. A worker that asks for workers gets none: whoever is
inside one does its own work, item by item.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import cloudpickle
import joblib
from joblib.parallel import LokyBackend, register_parallel_backend
from threadpoolctl import threadpool_limits

from barlake.clusters import dask_workers, ray_workers
from barlake.errors import InvalidInputError
from barlake.settings import load_settings

__all__ = ["Backend", "Workers", "parallel_backend", "plan_workers", "run_parallel"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[str, int, int], None]
"""Told the name of what was finished, how many items are done, and how many there are."""

_LOKY = "barlake-loky"
_inside = threading.local()


class Backend(StrEnum):
    """Who keeps the workers. `loky`: this machine. `sequential`: there are none, this process does it all."""

    LOKY = "loky"
    DASK = "dask"
    RAY = "ray"
    SEQUENTIAL = "sequential"


@dataclass(frozen=True)
class Workers:
    """How many workers, kept by whom, with how many threads each. One worker is this process."""

    backend: Backend
    count: int
    inner_threads: int


def plan_workers(workers: int | None = None, backend: str | None = None, *, items: int | None = None) -> Workers:
    """What is used for so many items: what is given, else what the settings say, else a worker for each core.

    Parameters
    ----------
    items
        There are never more workers than items.

    Raises
    ------
    InvalidInputError
        If `workers` is below 1, or there is no such backend.
    """
    settings = load_settings()
    cores = joblib.cpu_count()
    kept_by = _parse_backend(settings.parallel_backend if backend is None else backend)
    asked = settings.workers if workers is None else workers
    count = cores if asked is None else asked
    if count < 1:
        raise InvalidInputError(f"workers {count} cannot do any work: give 1 (this process) or more.")
    if items is not None:
        count = max(1, min(count, items))
    if count == 1 or kept_by is Backend.SEQUENTIAL or _is_worker():
        return Workers(Backend.SEQUENTIAL, 1, cores)
    return Workers(kept_by, count, max(1, cores // count))


def run_parallel(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress | None = None,
    name_of: Callable[[Item], str] | None = None,
) -> list[Result]:
    """What the function gives for each item, in the order of the items.

    Ctrl-C, or the first error of any item, ends the workers; items that were not begun are not done.

    Parameters
    ----------
    function
        Goes to the workers with its items, so it must not hold open files or connections; a lambda may go.
    workers
        None takes `BARLAKE_WORKERS`, else one for each core. One worker or one item runs in this process.
    backend
        `loky`, `dask`, `ray` or `sequential`; None takes `BARLAKE_PARALLEL_BACKEND`.
    progress
        Told when an item is finished, in the order in which they finish, with the name that `name_of` gives it.

    Raises
    ------
    InvalidInputError
        If the function, an item or a result cannot be sent between processes, a worker was killed, or an option
        is wrong. Errors of the function come as they are.
    """
    todo = list(items)
    plan = plan_workers(workers, backend, items=len(todo))
    told, name_of = progress or _silent, name_of or _no_name
    results: dict[int, Result] = {}
    _check_can_be_sent(plan, function, todo)
    with _backend_of(plan):
        for index, result in _in_any_order(function, todo, plan):
            results[index] = result
            told(name_of(todo[index]), len(results), len(todo))
    return [results[index] for index in range(len(todo))]


@contextlib.contextmanager
def parallel_backend(workers: int | None = None, backend: str | None = None) -> Iterator[Workers]:
    """Workers for what calls joblib itself within the block, such as a search of scikit-learn with `n_jobs=None`."""
    plan = plan_workers(workers, backend)
    with _backend_of(plan), _refusals(plan):
        yield plan


# --- one item ------------------------------------------------------------------------------------


def _in_any_order(function: Callable[[Item], Result], todo: list[Item], plan: Workers) -> Iterator[tuple[int, Result]]:
    if plan.count == 1:
        yield from ((index, function(item)) for index, item in enumerate(todo))
        return
    call = joblib.delayed(functools.partial(_in_worker, function, plan))
    with _refusals(plan):
        results = joblib.Parallel(return_as="generator_unordered")(call(*pair) for pair in enumerate(todo))
        try:
            for index, result in results:
                yield index, result if plan.backend is Backend.LOKY else pickle.loads(result)  # noqa: S301 - our own
        finally:
            with warnings.catch_warnings():  # of results nobody waits for any more
                warnings.simplefilter("ignore")
                results.close()


def _in_worker(function: Callable[[Item], Result], plan: Workers, index: int, item: Item) -> tuple[int, Any]:
    """One item, in a worker: with its share of threads, and no workers of its own.

    Loky says which result it cannot pickle. On Dask joblib would wait for it for ever: it gets bytes.
    """
    _inside.worker = True
    try:
        with threadpool_limits(plan.inner_threads), joblib.parallel_config(backend="sequential", n_jobs=1):
            result = function(item)
    finally:
        _inside.worker = False
    return index, result if plan.backend is Backend.LOKY else cloudpickle.dumps(result)


def _begin_worker(parent: int) -> None:
    """What a process of loky does first.

    Ctrl-C reaches every process of a terminal. Who asked for the work ends the workers; one that hears of it
    first would only print where it was. And who is killed ends nobody: so they look after themselves.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()


def _end_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _is_worker() -> bool:
    return getattr(_inside, "worker", False)


def _check_can_be_sent(plan: Workers, function: object, todo: Sequence[object]) -> None:
    """Loky says what it cannot pickle; joblib on Dask waits for ever, and Ray takes its time to start."""
    if plan.backend in {Backend.DASK, Backend.RAY}:
        with _refusals(plan):
            for part in (function, *todo):
                cloudpickle.dumps(part)


@contextlib.contextmanager
def _refusals(plan: Workers) -> Iterator[None]:
    """What can go wrong between two processes, in words."""
    try:
        yield
    except (pickle.PicklingError, TypeError) as error:
        if isinstance(error, pickle.PicklingError) or "pickle" in str(error):
            raise InvalidInputError(
                f"the work cannot be sent to {plan.count} {plan.backend.value} workers ({error}): define functions and "
                "classes in a module and hold no open file in them, or work in one process with BARLAKE_WORKERS=1."
            ) from error
        raise
    except BrokenProcessPool as error:
        raise InvalidInputError(
            f"workers {plan.count}: one of them was killed, most often because memory ran out. Nothing of its item "
            "was kept: run it again with fewer, BARLAKE_WORKERS=1 at the least."
        ) from error


# --- who keeps the workers -----------------------------------------------------------------------


class _Loky(LokyBackend):  # type: ignore[misc] # joblib ships no type information
    """joblib's own, which limits polars' threads, too."""

    MAX_NUM_THREADS_VARS = (*LokyBackend.MAX_NUM_THREADS_VARS, "POLARS_MAX_THREADS")


register_parallel_backend(_LOKY, _Loky)


def _parse_backend(name: str) -> Backend:
    try:
        return Backend(name.lower())
    except ValueError:
        raise InvalidInputError(f"backend {name!r} keeps no workers: use {', '.join(Backend)}.") from None


@contextlib.contextmanager
def _backend_of(plan: Workers) -> Iterator[None]:
    if plan.backend is Backend.SEQUENTIAL:
        with joblib.parallel_config(backend="sequential", n_jobs=1):
            yield
    elif plan.backend is Backend.LOKY:
        begin = {"initializer": _begin_worker, "initargs": (os.getpid(),)}
        threads = plan.inner_threads
        with joblib.parallel_config(backend=_LOKY, n_jobs=plan.count, inner_max_num_threads=threads, **begin):
            yield
    else:
        start = dask_workers if plan.backend is Backend.DASK else ray_workers
        with start(plan.count, plan.inner_threads), joblib.parallel_config(plan.backend.value, n_jobs=plan.count):
            yield


def _no_name(item: object) -> str:
    del item
    return ""


def _silent(name: str, done: int, total: int) -> None:
    del name, done, total
