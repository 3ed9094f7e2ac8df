"""Ingest: from a ticker that is typed to bars on the home page, with a real worker that the page begins and ends."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import barlake
from app.jobs.job import Job
from app.jobs.queue import open_queue
from app.operations import open_operations
from app.use_cases.agents import agent_standings
from barlake.sessions import Calendar
from barlake.settings import Settings
from ingest_service.emulator import EmulatorConfig, Fault, serve
from tests.browser import open_page, serving_dashboard, settle, shot

WORK_MS = 90_000
NO_CONCERN = "Nothing needs you|What needs you|disk of the lake"


@pytest.fixture
def served_lake(empty_root: Path) -> Iterator[str]:
    """Address of a dashboard over an empty lake, which an emulator with made-up bars feeds, not too fast to watch."""
    config = EmulatorConfig(symbols=("SYNA", "SYNB"), faults=(Fault.SLOW,), fault_period=2, slow_seconds=1.0)
    with serve(config, calendar=Calendar.default()) as alpaca:
        environment = {
            "ALPACA_API_KEY_ID": config.key_id, "ALPACA_API_SECRET_KEY": config.secret_key,
            "ALPACA_DATA_URL": alpaca, "ALPACA_FEED": "synthetic", "BARLAKE_HEARTBEAT_S": "0.5",
        }  # fmt: skip
        with serving_dashboard(empty_root, **environment) as url:
            yield url
    end_workers(empty_root)


def end_workers(root: Path) -> None:
    settings = Settings(_env_file=None, BARLAKE_ROOT=str(root))
    with open_operations(settings) as operations, open_queue(settings) as queue:
        for one in (worker for agent in agent_standings(operations, queue) for worker in agent.workers):
            if one.pid is not None:
                os.kill(one.pid, signal.SIGKILL)


def needs_nothing(page: Any) -> None:
    """Wait until the home page names no need; how full the disk of the machine under test is does not count."""
    said = page.locator(".st-key-needs [data-testid='stMarkdown']")
    said.first.wait_for()
    deadline = time.monotonic() + WORK_MS / 1000
    while needs := [one for one in said.all_inner_texts() if not re.search(NO_CONCERN, one)]:
        assert time.monotonic() < deadline, needs
        page.wait_for_timeout(500)


def test_a_ticker_becomes_bars_by_a_worker_that_is_begun_paused_and_ended_from_the_page(
    served_lake: str, browser_page: Any
) -> None:
    page = browser_page
    open_page(page, served_lake, "ingest")
    page.get_by_role("textbox", name="Tickers").fill("syna, synb")
    page.get_by_role("button", name="Queue").click()
    page.get_by_text("No worker does them yet").wait_for()
    backfill = page.locator(".st-key-agent-backfill")
    page.get_by_role("button", name="Start one here").click()
    backfill.get_by_text("working").wait_for(timeout=WORK_MS)
    shot(page, "ingest")
    page.get_by_text("4 done").wait_for(timeout=WORK_MS)
    backfill.get_by_text("idle").wait_for(timeout=WORK_MS)

    page.get_by_role("link", name="Logs and alerts").click()
    page.get_by_text("lines, newest first").wait_for()
    settle(page)
    shot(page, "logs")
    page.get_by_role("link", name="Home").click()
    page.get_by_text("synthetic: made-up bars").first.wait_for()
    needs_nothing(page)

    page.get_by_role("link", name="Ingest").click()
    backfill.get_by_role("button", name="Pause").click()
    backfill.get_by_text("paused").wait_for()
    backfill.get_by_role("button", name="Stop").click()
    backfill.get_by_text("no worker").wait_for(timeout=WORK_MS)


def test_a_ticker_that_is_none_is_refused_in_words(run_page: Callable[..., Any], empty_root: Path) -> None:
    page = run_page(empty_root, "ingest")
    page.text_input[0].set_value("SP Y;DROP").run()
    page.button[0].click().run()
    assert not page.exception
    assert any("symbol 'Y;DROP'" in one.value for one in page.error)


def with_spy_queued(page: Any) -> Any:
    page.text_input[0].set_value("SPY").run()
    return page.button[0].click().run()


def test_without_a_key_it_says_what_is_missing_and_offers_no_worker(
    run_page: Callable[..., Any], empty_root: Path
) -> None:
    page = with_spy_queued(run_page(empty_root, "ingest"))
    assert not page.exception
    assert any("No key of Alpaca is set" in one.value for one in page.warning)
    assert "Start one here" not in {one.label for one in page.button}


def test_a_key_that_is_set_while_the_page_is_open_counts_at_once(
    run_page: Callable[..., Any], empty_root: Path
) -> None:
    page = with_spy_queued(run_page(empty_root, "ingest"))
    assert any("No key of Alpaca is set" in one.value for one in page.warning)
    Path(".env").write_text("ALPACA_API_KEY_ID=your-key-id\nALPACA_API_SECRET_KEY=your-secret-key\n", encoding="utf-8")
    page.run()
    assert not page.exception
    assert not any("No key of Alpaca is set" in one.value for one in page.warning)
    assert "Start one here" in {one.label for one in page.button}


def test_a_job_that_failed_says_why_and_is_done_again(run_page: Callable[..., Any], empty_root: Path) -> None:
    with barlake.open(empty_root) as lake, open_queue(lake.settings) as queue:
        queue.pause(queue.put(Job("bars/sip/SPY/2024-01", "bars")), reason="the key was refused")
        page = run_page(empty_root, "ingest")
        assert any("the key was refused" in one.value for one in page.markdown)
        next(one for one in page.button if one.label == "Resume").click().run()
        assert not page.exception
        assert str(queue.get("bars/sip/SPY/2024-01").state) == "queued"
