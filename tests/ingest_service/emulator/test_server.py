from __future__ import annotations

import contextlib
import datetime as dt
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from barlake.errors import InvalidInputError
from barlake.sessions import Calendar
from ingest_service.emulator import EmulatorConfig, Fault, serve

COMMAND = """
import sys
import time
from collections.abc import Callable
from pathlib import Path
from ingest_service.emulator import EmulatorConfig, run
run(EmulatorConfig(bars=Path(sys.argv[1])), on_ready=lambda url: print(f"Serving feed 'sip' on {url}", flush=True))
"""


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"feed": "sip"}, "feed 'sip' cannot be made up"),
        ({"bars": Path("nowhere")}, "bars 'nowhere' is not a folder"),
        ({"fault_period": 1}, "fault_period 1 is out of range"),
        ({"missing_share": 1.0}, r"missing_share 1.0 is out of range: it must be in \(0, 1\)"),
        ({"window_seconds": 0}, "window_seconds 0 is out of range"),
        ({"now": dt.datetime(2024, 1, 2)}, "no time zone"),  # noqa: DTZ001 - the fault under test
        ({"symbols": ("SYN1",)}, "must be capital letters"),
        ({"symbols": ()}, "at least one"),
        ({"key_id": ""}, "key_id and secret_key must not be empty"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_rule(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        EmulatorConfig(**settings)


def test_a_folder_is_sip_unless_named_and_made_up_bars_are_synthetic(tmp_path: Path) -> None:
    assert EmulatorConfig(bars=tmp_path).served_feed == "sip"
    assert EmulatorConfig(bars=tmp_path, feed="IEX").served_feed == "iex"
    assert EmulatorConfig().served_feed == "synthetic"


def test_a_taken_port_is_refused_with_the_next_step(calendar: Calendar) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(InvalidInputError, match=rf"port {port} .* Name a free port"),
            serve(EmulatorConfig(), port=port, calendar=calendar),
        ):
            pass


def test_it_is_gone_when_the_block_ends(calendar: Calendar) -> None:
    with serve(EmulatorConfig(), calendar=calendar) as url:
        assert requests.get(url + "/_emu/log", timeout=30).json() == []
    with pytest.raises(requests.ConnectionError):
        requests.get(url + "/_emu/log", timeout=30)


def test_a_hanging_request_does_not_hold_up_the_end(folder: Path, calendar: Calendar) -> None:
    config = EmulatorConfig(bars=folder, faults=(Fault.HANG,), fault_period=2)
    request = b"GET /v2/stocks/AAA/bars?timeframe=1Min&start=2024-01-01&limit=%d HTTP/1.1\r\nHost: x\r\n"
    keys = f"APCA-API-KEY-ID: {config.key_id}\r\nAPCA-API-SECRET-KEY: {config.secret_key}\r\n\r\n".encode()
    with contextlib.ExitStack() as connections:
        with serve(config, calendar=calendar) as url:
            for limit in (1, 2):
                port = int(url.rpartition(":")[2])
                connection = connections.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
                connection.sendall(request % limit + keys)
            wait_until(lambda: hangs(url))
            started = time.monotonic()
        assert time.monotonic() - started < 5


def hangs(url: str) -> bool:
    return any(entry["fault"] == "hang" for entry in requests.get(url + "/_emu/log", timeout=30).json())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline


def test_in_the_foreground_it_names_its_address_and_ends_on_interrupt(folder: Path) -> None:
    command = [sys.executable, "-c", COMMAND, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.split()[-1]
        assert line.startswith("Serving feed 'sip' on http://127.0.0.1:")
        assert requests.get(url + "/v2/clock", timeout=30).status_code == 401
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=20)
    assert complaints.splitlines()[-1] == "KeyboardInterrupt"
