"""A real service, read by many while another connection writes, corrects and rolls up: every answer is of one state."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
import requests

from app.api.server import serving
from barlake.lake import Lake, open_lake
from barlake.sessions import Calendar
from barlake.settings import load_settings
from barlake.testing import make_bars

ARROW = {"Accept": "application/vnd.apache.arrow.stream"}
DAYS = Calendar.default().in_range(dt.date(2024, 1, 2), dt.date(2024, 4, 1))["session"].to_list()
BARS = make_bars(DAYS, seed=3, minutes=10)
READERS = 3
GENERATIONS = 6


def write(lake: Lake, generation: int) -> None:
    """Every bar of every file in one commit, with the number of the generation for its volume."""
    bars = BARS.with_columns(pl.lit(generation, dtype=pl.Int64).alias("volume"))
    lake.writer.write(bars, feed="synthetic", symbol="GEN", source="test")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Lake, str]]:
    with open_lake(tmp_path / "lake") as lake:
        write(lake, 1)
        with serving(load_settings(tmp_path / "lake")) as url:
            yield lake, url


def bars_of(session: requests.Session, url: str) -> tuple[pl.DataFrame, str | None]:
    answer = session.get(url, headers=ARROW, timeout=60)
    assert answer.status_code == 200, answer.text
    rows = pl.from_arrow(pa.ipc.open_stream(answer.content).read_all())
    assert isinstance(rows, pl.DataFrame)
    return rows, answer.links.get("next", {}).get("url")


def read_until(done: threading.Event, url: str, seen: list[int], faults: list[str]) -> None:
    """Whole answers and whole series of pages, each of which must be of one generation."""
    with requests.Session() as session:
        while not done.is_set():
            whole, _ = bars_of(session, f"{url}/bars/GEN")
            pages, following = [], f"/bars/GEN?limit={BARS.height // 3}"
            while following:
                page, following = bars_of(session, f"{url}{following}")
                pages.insert(0, page)
            for rows in (whole, pl.concat(pages)):
                found = rows["volume"].unique().to_list()
                seen.append(found[0])
                if len(found) != 1 or rows.height != BARS.height:
                    faults.append(f"generations {found}, {rows.height} bars of {BARS.height}")


def test_no_answer_and_no_series_of_pages_mixes_two_states(service: tuple[Lake, str]) -> None:
    lake, url = service
    done, seen, faults = threading.Event(), [], []  # type: ignore[var-annotated]
    readers = [threading.Thread(target=read_until, args=(done, url, seen, faults)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        for generation in range(2, GENERATIONS + 1):
            write(lake, generation)
            if generation % 2 == 0:
                lake.rollup()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert faults == []
    assert len(set(seen)) > 2, "they read while it was written"
