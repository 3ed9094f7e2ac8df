"""A worker follows its watch list while the exchange is open."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.operations import Operations
from app.operations.database import writing
from app.operations.tables import heartbeats
from barlake.lake import open_lake
from barlake.settings import Settings
from ingest_service.emulator import EmulatorConfig, serve
from tests.app.jobs.probing import InThread, eventually

NOW = dt.datetime(2024, 7, 2, 14, 0, tzinfo=dt.UTC)


@pytest.fixture
def config(tmp_path: Path) -> EmulatorConfig:
    return EmulatorConfig(
        symbols=("SYNA", "SYNB"), clock=tmp_path / "clock.json", now=NOW, speed=60, requests_per_window=2000
    )


@pytest.fixture
def settings(tmp_path: Path, config: EmulatorConfig) -> Settings:
    return Settings(_env_file=None).model_copy(
        update={
            "root": str(tmp_path / "lake"),
            "heartbeat_s": 0.3,
            "clock_file": config.clock,
            "securities_file": tmp_path / "securities.yaml",
            "alpaca_live_feed": "synthetic",
            "alpaca_key_id": SecretStr(config.key_id),
            "alpaca_secret_key": SecretStr(config.secret_key),
        }
    )


def test_a_worker_follows_its_watch_list_and_sees_it_change(
    tmp_path: Path,
    config: EmulatorConfig,
    settings: Settings,
    operations: Operations,
    work: Callable[..., InThread],
) -> None:
    listed = tmp_path / "securities.yaml"
    listed.write_text("securities:\n  stocks: [SYNA]\n")
    with serve(config) as url:
        settings.__dict__["alpaca_data_url"] = url
        with work(agents=("live",)), open_lake(settings=settings) as lake:
            eventually(lambda: lake.symbols("synthetic")["symbol"].to_list() == ["SYNA"])
            eventually(
                lambda: any(one.agent == "live" and one.state == "streaming" for one in operations.heartbeats.all())
            )
            listed.write_text("securities:\n  stocks: [SYNA, SYNB]\n")
            eventually(lambda: lake.symbols("synthetic")["symbol"].to_list() == ["SYNA", "SYNB"])


def test_one_worker_follows_and_the_other_stands_by(
    tmp_path: Path,
    config: EmulatorConfig,
    settings: Settings,
    operations: Operations,
    work: Callable[..., InThread],
) -> None:
    (tmp_path / "securities.yaml").write_text("securities:\n  stocks: [SYNA]\n")
    operations.heartbeats.beat(worker="elsewhere", agent="live", state="streaming", period_s=600)
    with serve(config) as url:
        settings.__dict__["alpaca_data_url"] = url
        with work(agents=("live",)), open_lake(settings=settings) as lake:
            eventually(lambda: any(one.state == "standing by" for one in operations.heartbeats.all()))
            assert lake.symbols("synthetic").is_empty()
            operations.heartbeats.forget("elsewhere", "live")
            eventually(lambda: not lake.symbols("synthetic").is_empty())


def test_it_goes_on_while_nobody_knows_who_else_is_alive_and_still_ends_with_its_worker(
    tmp_path: Path,
    config: EmulatorConfig,
    settings: Settings,
    operations: Operations,
    work: Callable[..., InThread],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("app.jobs.tasks.live.LOOK_S", 0.2)
    listed = tmp_path / "securities.yaml"
    listed.write_text("securities:\n  stocks: [SYNA]\n")
    with serve(config) as url:
        settings.__dict__["alpaca_data_url"] = url
        with work(agents=("live",)), open_lake(settings=settings) as lake:
            eventually(lambda: not lake.symbols("synthetic").is_empty())
            with writing(operations.engine) as connection:
                connection.execute(text(f"ALTER TABLE {heartbeats.name} RENAME TO elsewhere"))
            eventually(lambda: "whether another follows the market is not known" in caplog.text)
            with writing(operations.engine) as connection:
                connection.execute(text(f"ALTER TABLE elsewhere RENAME TO {heartbeats.name}"))
            listed.write_text("securities:\n  stocks: [SYNA, SYNB]\n")
            eventually(lambda: lake.symbols("synthetic")["symbol"].to_list() == ["SYNA", "SYNB"])
