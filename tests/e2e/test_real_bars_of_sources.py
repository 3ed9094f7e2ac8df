"""Real bars, said again in the words of the source they came from, pass its client and ours unchanged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest
from pydantic import SecretStr

from barlake.settings import Settings
from barlake.source_settings import MassiveSettings, SourceSettings, YahooSettings
from barlake.testing import temporary_lake
from ingest_service.backfill import backfill
from ingest_service.sources.choice import Purpose, sources_for
from tests.scripted_server import serve, status

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "bars_1m"
KEY = "KEY-OF-THE-TEST"
VALUES = ["timestamp", "open", "high", "low", "close", "volume"]


def real_bars(name: str, sessions: int) -> pl.DataFrame:
    path = REAL / name / "SPY.parquet"
    if not path.is_file():
        pytest.skip(f"{path} is not there: the real bars lie beside the checkout, not in it")
    bars = pl.read_parquet(path).sort("timestamp")
    days = bars["timestamp"].dt.convert_time_zone("America/New_York").dt.date()
    return bars.filter(days.is_in(days.unique().sort().head(sessions).implode()))


def between(bars: pl.DataFrame, start: dt.datetime, end: dt.datetime) -> pl.DataFrame:
    return bars.filter(pl.col("timestamp").is_between(start, end, closed="left"))


def answering(make: Callable[[Any, dict[str, str]], object]) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer worked out from the question."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        params = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status(200, make(parts, params))(handler)

    return answer


def massive(bars: pl.DataFrame) -> Callable[[Any, dict[str, str]], object]:
    def make(parts: Any, _: dict[str, str]) -> object:
        first, last = (
            dt.datetime.fromtimestamp(int(part) / 1000, dt.UTC) for part in parts.path.rstrip("/").split("/")[-2:]
        )
        rows = between(bars, first, last + dt.timedelta(minutes=1)).select(
            t=pl.col("timestamp").dt.epoch("ms"), o="open", h="high", l="low", c="close", v="volume",
            n="trade_count", vw="vwap",
        )  # fmt: skip
        return {"status": "OK", "resultsCount": rows.height, "results": rows.to_dicts()}

    return make


def yahoo(bars: pl.DataFrame) -> Callable[[Any, dict[str, str]], object]:
    def make(_: Any, params: dict[str, str]) -> object:
        rows = bars
        if "period1" in params:
            span = (dt.datetime.fromtimestamp(int(params[name]), dt.UTC) for name in ("period1", "period2"))
            rows = between(bars, *span)
        if params["interval"] == "1d":
            rows = rows.head(1)
        meta = {
            "currency": "USD", "symbol": "SPY", "instrumentType": "ETF", "exchangeTimezoneName": "America/New_York",
            "timezone": "EDT", "gmtoffset": -14400, "priceHint": 2, "dataGranularity": params["interval"], "range": "",
            "validRanges": ["1d", "max"], "regularMarketTime": 0,
        }  # fmt: skip
        columns = {name: rows[name].to_list() for name in VALUES[1:]}
        stamps = rows["timestamp"].dt.epoch("s").to_list()
        found = {"meta": meta, "timestamp": stamps, "indicators": {"quote": [columns]}}
        return {"chart": {"result": [found], "error": None}}

    return make


@pytest.mark.parametrize(
    ("name", "source", "feed", "speaks"),
    [("sip_vwap_2024", "massive", "sip", massive), ("yahoo_2026", "yahoo", "yahoo", yahoo)],
)
def test_real_minutes_pass_unchanged(
    name: str, source: str, feed: str, speaks: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("yfinance" if source == "yahoo" else "massive")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    bars = real_bars(name, sessions=4)
    days = bars["timestamp"].dt.convert_time_zone("America/New_York").dt.date()
    answer = answering(speaks(bars))
    with (
        serve(beside={"/v1/": status(200, "crumb"), "/v": answer, "/": status(200)}) as script,
        temporary_lake() as lake,
    ):
        own = SourceSettings(
            massive=MassiveSettings(api_key=SecretStr(KEY), base_url=script.url, rpm=60_000),
            yahoo=YahooSettings(base_url=script.url, rpm=60_000),
        )
        settings = Settings(root=str(tmp_path)).model_copy(update={"sources": own, "root": str(tmp_path)})
        asked = sources_for(Purpose.MINUTE, settings, names=[source])
        first, beyond = days.min(), days.max()
        assert isinstance(first, dt.date)
        assert isinstance(beyond, dt.date)
        backfill(lake, asked, ["SPY"], first.isoformat(), (beyond + dt.timedelta(days=1)).isoformat(), feed=feed)
        held = lake.bars("SPY", feed=feed)
        quarantined = lake.manifest.quarantine()
    assert quarantined.is_empty()
    expected = bars.select(VALUES).with_columns(pl.col("timestamp").dt.cast_time_unit("us"))
    assert held.select(VALUES).equals(expected)
    if source == "massive":
        assert held["trade_count"].to_list() == bars["trade_count"].to_list()
        assert held["vwap"].to_list() == bars["vwap"].to_list()
