"""Bars to an InfluxDB by HTTP: a real server where one is installed, and one of our own that has bad days."""

from __future__ import annotations

import csv
import datetime as dt
import http.server
import io
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests
from pydantic import SecretStr

from barlake.errors import InvalidInputError, StorageError
from barlake.exporting import BarExport, BarSelection
from barlake.influx import post_lines
from barlake.lake import Lake
from barlake.line_protocol import lines
from barlake.testing import make_bars

FEED = "synthetic"
TUESDAY = dt.date(2024, 1, 2)
MINUTES = 25


@pytest.fixture
def held(lake: Lake) -> Lake:
    bars = make_bars([dt.date(2023, 12, 29), TUESDAY], minutes=MINUTES)
    lake.write_bars(bars, feed=FEED, symbol="SPY")
    lake.write_bars(bars.with_columns(vwap=None), feed=FEED, symbol="A=B")
    return lake


@dataclass
class Influx:
    """A server that takes line protocol, or answers what it was told to, one answer a request."""

    answers: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    bodies: list[list[str]] = field(default_factory=list)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Influx]:
    known = Influx()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            known.seen.append((self.path, dict(self.headers)))
            code, text, headers = known.answers.pop(0) if known.answers else (204, "", {})
            if code < 300:
                known.bodies.append(body.splitlines())
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        known.url = f"http://127.0.0.1:{running.server_address[1]}"
        yield known
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def send(lake: Lake, url: str, *, token: str | None = None, **options: Any) -> int:
    secret = None if token is None else SecretStr(token)
    return post_lines(
        BarExport(lake, BarSelection(**options)), url, token=secret, batch_lines=20, backoff_seconds=0.001
    )


def test_every_bar_is_sent_once_in_batches_that_are_bounded(held: Lake, server: Influx) -> None:
    assert send(held, f"{server.url}/write?db=market") == 4 * MINUTES
    assert [len(body) for body in server.bodies] == [20, 5] * 4
    wanted = lines(held.bars(["A=B", "SPY"]), measurement="bars").to_list()
    assert [line for body in server.bodies for line in body] == wanted


@pytest.mark.parametrize(
    ("path", "token", "header"),
    [
        ("/api/v2/write?org=o&bucket=b", "to:ken", "Token to:ken"),
        ("/write?db=market", "user:pass:word", "Basic dXNlcjpwYXNzOndvcmQ="),
        ("/write?db=market", "token", "Token token"),
        ("/write?db=market", None, None),
    ],
)
def test_the_secret_goes_into_the_header_that_the_version_reads(
    held: Lake, server: Influx, path: str, token: str | None, header: str | None
) -> None:
    send(held, server.url + path, token=token)
    assert {(seen, headers.get("Authorization")) for seen, headers in server.seen} == {(path, header)}


def test_a_server_with_a_bad_moment_gets_the_same_batch_again(held: Lake, server: Influx) -> None:
    server.answers = [(503, "starting", {}), (429, "slow", {"Retry-After": "0"}), (204, "", {}), (500, "", {})]
    assert send(held, f"{server.url}/write?db=market") == 4 * MINUTES
    wanted = lines(held.bars(["A=B", "SPY"]), measurement="bars").to_list()
    assert [line for body in server.bodies for line in body] == wanted
    assert len(server.seen) == len(server.bodies) + 3


def test_a_server_that_stays_away_is_named_with_its_last_word(held: Lake, server: Influx) -> None:
    server.answers = [(503, "out of\nmemory", {})] * 5
    with pytest.raises(StorageError, match=r"after 5 attempts; the last one: 503 out of memory"):
        send(held, f"{server.url}/write?db=market")
    assert server.answers == []


def test_no_server_at_all_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    from barlake.testing import temporary_lake

    with temporary_lake() as lake:
        lake.write_bars(make_bars([TUESDAY], minutes=1), feed=FEED, symbol="SPY")
        with pytest.raises(StorageError, match="no answer"):
            send(lake, f"http://127.0.0.1:{port}/write?db=market")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (400, "will not take these lines"),
        (401, "BARLAKE_INFLUX_TOKEN"),
        (403, "BARLAKE_INFLUX_TOKEN"),
        (404, "Make the database or bucket first"),
        (302, "answered 302"),
    ],
)
def test_a_refusal_for_good_is_said_at_once_without_the_secret(
    held: Lake, server: Influx, code: int, said: str
) -> None:
    server.answers = [(code, '{"error":"the reason"}', {"Location": "/elsewhere"})]
    with pytest.raises(InvalidInputError, match=said) as caught:
        send(held, f"{server.url}/write?db=market", token="hush:hush")  # noqa: S106
    assert "the reason" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hush@127.0.0.1/write?db=x",
        "http://127.0.0.1/write?db=x&u=me&p=hush",
        "http://127.0.0.1/write?db=x&precision=s",
        "ftp://127.0.0.1/write",
        "http:///write",
    ],
)
def test_an_address_that_is_wrong_or_tells_a_secret_is_refused(held: Lake, url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        send(held, url)
    assert "hush" not in str(caught.value)


# --- a real server --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real InfluxDB 1 with an empty database `market`."""
    program = shutil.which("influxd")
    if program is None:
        pytest.skip("no InfluxDB server is installed (on Debian and Ubuntu: apt-get install influxdb)")
    folder = tmp_path_factory.mktemp("influx")
    ports = [free_port(), free_port()]
    config = folder / "influxdb.conf"
    config.write_text(settings_of(folder, *ports))
    url = f"http://127.0.0.1:{ports[0]}"
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([program, "-config", config], stdout=log, stderr=log) as ran,
    ):
        try:
            wait_for(url, ran, folder / "log")
            requests.post(f"{url}/query", params={"q": "CREATE DATABASE market"}, timeout=60).raise_for_status()
            yield url
        finally:
            ran.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_of(folder: Path, http_port: int, rpc_port: int) -> str:
    return f"""
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{http_port}"
log-enabled = false
[monitor]
store-enabled = false
"""


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            requests.get(f"{url}/ping", timeout=60).raise_for_status()
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return


def stored(url: str, symbol: str) -> pl.DataFrame:
    """All points of a symbol, as the server's own query gives them."""
    query = f"select open, high, low, close, volume, trade_count, vwap from bars where symbol = '{symbol}'"
    answer = requests.get(
        f"{url}/query", params={"db": "market", "q": query}, headers={"Accept": "application/csv"}, timeout=10
    )
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    numbers = {name: [float(row[name]) if row[name] else None for row in rows] for name in list(rows[0])[3:]}
    stamps = [dt.datetime.fromtimestamp(int(row["time"]) / 1e9, tz=dt.UTC) for row in rows]
    return pl.DataFrame({"timestamp": stamps, **numbers})


def test_a_real_server_holds_every_value_of_every_bar(held: Lake, influxd: str) -> None:
    assert send(held, f"{influxd}/write?db=market") == 4 * MINUTES
    for symbol in ("SPY", "A=B"):
        found, wanted = stored(influxd, symbol), held.bars(symbol)
        for name in found.columns:
            assert found[name].to_list() == wanted[name].to_list()


def test_sending_again_after_a_correction_replaces_what_a_real_server_held(held: Lake, influxd: str) -> None:
    send(held, f"{influxd}/write?db=market")
    changed = held.bars("SPY").tail(3).with_columns(pl.col("close") + 0.125, pl.col("high") + 1)
    held.write_bars(changed, feed=FEED, symbol="SPY")
    send(held, f"{influxd}/write?db=market")
    assert stored(influxd, "SPY")["close"].to_list() == held.bars("SPY")["close"].to_list()


def test_what_a_real_server_says_about_a_wrong_database_is_passed_on(held: Lake, influxd: str) -> None:
    with pytest.raises(InvalidInputError, match=r"answered 404: .*database not found.*Make the database"):
        send(held, f"{influxd}/write?db=nowhere")
