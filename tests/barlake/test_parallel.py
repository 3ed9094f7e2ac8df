"""Work on several cores: in order, with its share of threads, and nothing that outlives Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import joblib
import numpy as np
import polars as pl
import pytest
import threadpoolctl
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from barlake.clusters import dask_workers, ray_workers
from barlake.errors import InvalidInputError, LookAheadError
from barlake.parallel import parallel_backend, plan_workers, run_parallel

RAY = pytest.param("ray", marks=pytest.mark.slow)
SHARE = max(1, joblib.cpu_count() // 2)
CLUSTERS = {"dask": dask_workers, "ray": ray_workers}
PROCESSES = ("loky", "dask", RAY)
EVERYWHERE = ("sequential", *PROCESSES)


@pytest.fixture(scope="module")
def _cluster_of() -> Iterator[Callable[[str], None]]:
    """Starts the workers of a backend once for all tests here."""
    with contextlib.ExitStack() as stack:
        started: set[str] = set()

        def start(backend: str) -> None:
            if backend not in started and backend in {"dask", "ray"}:
                stack.enter_context(CLUSTERS[backend](2, SHARE))
            started.add(backend)

        yield start


@pytest.fixture
def backend(request: pytest.FixtureRequest, _cluster_of: Callable[[str], None]) -> str:
    _cluster_of(request.param)
    return str(request.param)


def square(number: int) -> int:
    return number * number


def process_and_threads(_: int) -> tuple[int, int, set[int]]:
    """Which process it is, polars' threads, and those of OpenMP and BLAS."""
    np.zeros((2, 2)) @ np.zeros((2, 2))
    return os.getpid(), pl.thread_pool_size(), {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}


def processes_of_two(_: int) -> set[int]:
    return set(run_parallel(lambda _: os.getpid(), range(2), workers=2)) | {os.getpid()}


def refuse(number: int) -> int:
    if number == 1:
        raise LookAheadError("it reads rows that come later")
    return number


def lock_of(_: int) -> object:
    return threading.Lock()


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("backend", EVERYWHERE, indirect=True)
def test_results_come_in_the_order_of_the_items_whoever_keeps_the_workers(backend: str) -> None:
    assert run_parallel(square, range(7), workers=2, backend=backend) == [0, 1, 4, 9, 16, 25, 36]


@pytest.mark.parametrize("backend", PROCESSES, indirect=True)
def test_each_worker_has_its_share_of_the_cores(backend: str) -> None:
    for process, polars_threads, others in run_parallel(process_and_threads, range(3), workers=2, backend=backend):
        assert process != os.getpid()
        assert polars_threads == SHARE
        assert max(others) <= SHARE


def test_one_worker_or_one_item_is_this_process() -> None:
    assert run_parallel(lambda _: os.getpid(), range(3), workers=1) == [os.getpid()] * 3
    assert run_parallel(lambda _: os.getpid(), [0], workers=4) == [os.getpid()]
    assert run_parallel(square, []) == []


def test_a_worker_asks_for_workers_and_does_the_work_itself() -> None:
    assert [len(one) for one in run_parallel(processes_of_two, range(2), workers=2)] == [1, 1]


def test_what_is_finished_is_told_by_name() -> None:
    told: list[tuple[str, int, int]] = []
    run_parallel(
        square, [2, 3], workers=2, progress=lambda *step: told.append(step), name_of=lambda item: f"item {item}"
    )
    assert sorted(name for name, _, _ in told) == ["item 2", "item 3"]
    assert [(done, total) for _, done, total in told] == [(1, 2), (2, 2)]


@pytest.mark.parametrize("backend", EVERYWHERE, indirect=True)
def test_an_error_of_the_work_comes_as_it_is(backend: str) -> None:
    with pytest.raises(LookAheadError, match="it reads rows that come later"):
        run_parallel(refuse, range(3), workers=2, backend=backend)


@pytest.mark.parametrize("backend", PROCESSES, indirect=True)
def test_what_cannot_be_sent_is_refused_with_a_way_out(backend: str, tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as stream, pytest.raises(InvalidInputError, match="BARLAKE_WORKERS=1"):
        run_parallel(lambda item: (stream, item), range(3), workers=2, backend=backend)


@pytest.mark.parametrize("backend", PROCESSES, indirect=True)
def test_a_result_that_cannot_be_sent_back_is_refused_with_a_way_out(backend: str) -> None:
    with pytest.raises(InvalidInputError, match="BARLAKE_WORKERS=1"):
        run_parallel(lock_of, range(3), workers=2, backend=backend)


def test_a_worker_that_is_killed_is_said_with_a_way_out() -> None:
    with pytest.raises(InvalidInputError, match=r"memory ran out.*run it again with fewer"):
        run_parallel(die, range(2), workers=2)
    assert run_parallel(square, range(3), workers=2) == [0, 1, 4]


def test_settings_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARLAKE_WORKERS", "3")
    monkeypatch.setenv("BARLAKE_PARALLEL_BACKEND", "dask")
    plan = plan_workers()
    assert (plan.backend, plan.count, plan.inner_threads) == ("dask", 3, max(1, joblib.cpu_count() // 3))
    assert plan_workers(items=2).count == 2
    assert plan_workers(backend="sequential").count == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"workers": 0}, "workers 0 cannot"), ({"backend": "spark"}, "'spark'.*use loky, dask, ray, sequential")],
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        run_parallel(square, range(3), **options)  # type: ignore[arg-type] # each option has its type


@pytest.mark.parametrize("backend", ["dask", RAY])
def test_a_cluster_that_does_not_answer_is_named(backend: str) -> None:
    address = "tcp://127.0.0.1:9" if backend == "dask" else "127.0.0.1:9"
    call = f"from barlake.parallel import run_parallel; run_parallel(abs, [1, 2], workers=2, backend={backend!r})"
    environment = {**os.environ, "BARLAKE_CLUSTER": address}
    ended = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 1
    assert f"SourceError: no {backend.title()} cluster answers at BARLAKE_CLUSTER={address}" in ended.stderr


def test_a_search_of_scikit_learn_takes_the_workers_of_the_block() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    found = []
    for backend in ("sequential", "loky"):
        with parallel_backend(2, backend):
            search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0, 10.0]}, cv=3).fit(rows, rows @ [1.0, 2.0])
        found.append(search.best_params_)
    assert found[0] == found[1] == {"alpha": 0.1}


LONG_WORK = """
import os, pathlib, sys, time
from barlake.parallel import run_parallel

def rest(number):
    pathlib.Path(sys.argv[1], f"{os.getpid()}.worker").touch()
    time.sleep(60)

if __name__ == "__main__":
    run_parallel(rest, range(4), workers=2, backend="loky")
"""


@pytest.fixture
def long_work(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A process group that works, and the two processes in it that do the work."""
    script = tmp_path / "long_work.py"
    script.write_text(LONG_WORK.replace("sys.argv[1]", repr(str(tmp_path))))
    started = subprocess.Popen([sys.executable, str(script)], start_new_session=True, stderr=subprocess.PIPE, text=True)
    while len(list(tmp_path.glob("*.worker"))) < 2:
        assert started.poll() is None
        time.sleep(0.05)
    yield started, [int(path.stem) for path in tmp_path.glob("*.worker")]
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGKILL)
    started.communicate()


def test_ctrl_c_ends_the_workers(long_work: tuple[subprocess.Popen[str], list[int]]) -> None:
    started, workers = long_work
    os.killpg(started.pid, signal.SIGINT)  # as a terminal does
    _, errors = started.communicate(timeout=60)
    assert started.returncode == -signal.SIGINT
    assert errors.strip().splitlines()[-1] == "KeyboardInterrupt"
    assert errors.count("Traceback") == 1
    assert not any(map(is_running, workers))


def test_workers_end_when_who_asked_for_them_is_killed(long_work: tuple[subprocess.Popen[str], list[int]]) -> None:
    started, workers = long_work
    started.kill()
    started.wait()
    patience = time.monotonic() + 30
    while any(map(is_running, workers)):
        assert time.monotonic() < patience
        time.sleep(0.1)


def is_running(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"
