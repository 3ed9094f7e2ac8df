"""The processes behind queries: alone, without secrets, bound by the kernel, and gone when they should be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import app
from app.sandbox import processes, run
from app.sandbox.errors import SqlBusyError, SqlLimitError
from app.sandbox.gate import Gate
from app.sandbox.limits import Limits
from app.sandbox.run import run_sql
from barlake.errors import InvalidInputError
from barlake.lake import Lake
from barlake.testing import make_bars, temporary_lake
from tests.app.sandbox.conftest import SESSIONS

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def server_pid() -> int:
    process = processes._server._process
    assert process is not None
    return process.pid


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]


def wait_until(condition: object, seconds: float = 15.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@linux_only
def test_the_process_behind_queries_has_no_secret_and_loads_nothing_of_the_lake(
    small_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_API_SECRET_KEY", "not-for-strangers")
    processes._server.close()
    run_sql(small_lake, "SELECT 1")
    assert b"not-for-strangers" not in Path(f"/proc/{server_pid()}/environ").read_bytes()
    loaded = "import sys, app.sandbox.fork_server; print(sorted({name.split('.')[0] for name in sys.modules}))"
    ended = subprocess.run(
        [sys.executable, "-c", loaded], check=True, capture_output=True, text=True, cwd=Path(app.__file__).parent.parent
    )
    assert not {"barlake", "polars", "pandas", "sqlalchemy", "fastapi"} & set(eval(ended.stdout))  # noqa: S307 - our own print


@linux_only
def test_no_process_is_left_after_a_query_however_it_ends(small_lake: Lake) -> None:
    run_sql(small_lake, "SELECT 1")
    with pytest.raises(InvalidInputError):
        run_sql(small_lake, "SELECT nothing")
    with pytest.raises(SqlLimitError, match=r"longer than 0\.2 s"):
        run_sql(small_lake, "SELECT count(*) FROM range(1000000000000)", timeout_s=0.2)
    wait_until(lambda: children_of(server_pid()) == [])


@linux_only
def test_a_query_goes_on_when_the_process_that_begins_them_was_ended(small_lake: Lake) -> None:
    run_sql(small_lake, "SELECT 1")
    os.kill(server_pid(), signal.SIGKILL)
    assert run_sql(small_lake, "SELECT 42 AS answer").table.to_pylist() == [{"answer": 42}]


@linux_only
def test_whoever_asks_is_killed_and_no_query_outlives_it(small_lake: Lake) -> None:
    asks = (
        "import sys\nimport barlake\nfrom app.sandbox.run import run_sql\n"
        "with barlake.open(sys.argv[1]) as lake:\n"
        "    run_sql(lake, 'SELECT 1')\n    print('begun', flush=True)\n"
        "    run_sql(lake, 'SELECT sum(a.range * b.range) FROM range(100000000) AS a, range(100000000) AS b')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", asks, str(small_lake.root)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(app.__file__).parent.parent,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        (server,) = children_of(process.pid)
        wait_until(lambda: children_of(server) != [])
        (query,) = children_of(server)
        process.kill()
    wait_until(lambda: not Path(f"/proc/{server}").exists() and not Path(f"/proc/{query}").exists())


def test_a_row_limit_and_a_byte_limit_leave_out_what_is_beyond_and_say_so(small_lake: Lake) -> None:
    by_rows = run_sql(small_lake, "SELECT range AS n FROM range(5000)", max_rows=100)
    assert (by_rows.table["n"].to_pylist(), by_rows.truncated) == (list(range(100)), True)
    by_bytes = run_sql(small_lake, "SELECT range AS n FROM range(5000)", max_rows=5000, max_bytes=1024)
    assert by_bytes.truncated
    assert 0 < by_bytes.table.num_rows <= 128
    exactly = run_sql(small_lake, "SELECT range AS n FROM range(100)", max_rows=100)
    assert (exactly.table.num_rows, exactly.truncated) == (100, False)


@pytest.mark.parametrize(
    "limits", [{"timeout_s": 0}, {"timeout_s": 31}, {"max_rows": 0}, {"max_bytes": 10**12}, {"memory_mb": 1}]
)
def test_a_limit_beyond_its_range_is_refused_by_name(limits: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(limits))):
        Limits(**limits)  # type: ignore[arg-type]


def test_a_query_that_needs_too_much_memory_says_how_much_it_may_have(small_lake: Lake) -> None:
    with pytest.raises(SqlLimitError, match="more than 64 MB"):
        run_sql(small_lake, "SELECT list(range) FROM range(100000000)", memory_mb=64, timeout_s=10)


def test_messages_do_not_tell_where_the_lake_is(small_lake: Lake) -> None:
    with pytest.raises(InvalidInputError) as caught:
        run_sql(small_lake, f"SELECT '{small_lake.root}'::INTEGER")
    assert str(small_lake.root) not in str(caught.value)


def test_where_the_kernel_has_no_landlock_the_answer_says_so(small_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.landlock, "version", lambda: 0)
    result = run_sql(small_lake, "SELECT count(*) AS n FROM bars")
    assert (result.mode, result.table.to_pylist()) == ("weaker", [{"n": 1560}])
    with pytest.raises(InvalidInputError, match=r"[Pp]ermission|disabled"):
        run.ask(small_lake, "SELECT * FROM read_text('/etc/passwd')", Limits(), checked=False)


def test_a_lake_in_a_bucket_is_not_offered(small_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_lake.store, "filesystem", object)
    with pytest.raises(InvalidInputError, match="reaches no network"):
        run_sql(small_lake, "SELECT 1")


def test_an_answer_follows_what_is_written() -> None:
    with temporary_lake() as lake:
        for count, session in enumerate(SESSIONS, 1):
            lake.write_bars(make_bars([session]), feed="synthetic", symbol="SPY")
            answer = run_sql(lake, "SELECT count(*) AS bars, (SELECT sum(bars) FROM symbols) AS told FROM bars")
            assert answer.table.to_pylist() == [{"bars": 390 * count, "told": 390 * count}]


def test_a_gate_lets_so_many_in_a_few_wait_and_sends_the_rest_away() -> None:
    gate = Gate(waiting=1, patience_s=5)
    with gate.entered(1):
        entered = threading.Event()

        def wait_for_a_place() -> None:
            with gate.entered(1):
                entered.set()

        waiting = threading.Thread(target=wait_for_a_place)
        waiting.start()
        wait_until(lambda: gate._outside == 1)
        with pytest.raises(SqlBusyError, match="BARLAKE_SQL_CONCURRENCY"), gate.entered(1):
            pytest.fail("a second one may not wait")
        assert not entered.is_set()
    waiting.join()
    assert entered.is_set()
    short = Gate(patience_s=0.01)
    with short.entered(1), pytest.raises(SqlBusyError), short.entered(1):
        pytest.fail("it waits for its patience and no longer")
