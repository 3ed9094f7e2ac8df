"""Features, training, simulation and its report on real bars, each step a command of its own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser

import barlake
from barlake.sessions import session_of

LEAKY_SET = '''"""One honest feature and one that knows the next bar."""

import polars as pl

from feature_service.declare import feature
from feature_service.feature_set import FeatureSet
from feature_service.returns import log_return


@feature(unit="log return", history_bars=0)
def tomorrow() -> pl.Expr:
    """Log return of the bar that comes next."""
    return pl.col("close").log().shift(-1) - pl.col("close").log()


SET = FeatureSet("mine", (log_return.named("log_return_2", span_bars=2), tomorrow.named("tomorrow")))
'''


def run_the_loop(command: Any, root: Path) -> dict[str, Any]:
    """What a simulation of a model trained on SPY and QQQ gave."""
    built = command.json("features", "SPY", "QQQ", "--root", root)
    assert [one["symbol"] for one in built["symbols"]] == ["SPY", "QQQ"]
    model = command.json("train", "SPY,QQQ", "--root", root)
    result: dict[str, Any] = command.json("simulate", "--model", model["model_id"], "--symbol", "SPY", "--root", root)
    return result | {"model": model, "folder": root / "runs" / result["run_id"]}


@pytest.fixture(scope="session")
def april(barlake_command: Any, year: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The loop on April 2024; the slow test below takes the whole year."""
    folder, root = tmp_path_factory.mktemp("april"), tmp_path_factory.mktemp("lake")
    for symbol in ("SPY", "QQQ"):
        bars = pl.scan_parquet(year / f"{symbol}.parquet")
        is_april = session_of(pl.col("timestamp")).dt.strftime("%Y-%m") == "2024-04"
        bars.filter(is_april).collect().write_parquet(folder / f"{symbol}.parquet")
    barlake_command.run("import", folder, "--feed", "sip", "--root", root)
    return run_the_loop(barlake_command, root)


def test_the_context_symbol_is_joined_on_the_minute_and_the_drop_is_told(april: dict[str, Any]) -> None:
    model = april["model"]
    assert model["parameters"]["symbols"] == ["SPY", "QQQ"]
    assert {"rsi_14", "rsi_14_QQQ"} <= set(model["columns"])
    join = model["join"]
    assert 0 < join["rows"] <= join["primary_rows"]
    assert join["drop_rate"] == pytest.approx(1 - join["rows"] / join["primary_rows"])


def test_every_prediction_came_from_a_model_fitted_before_it(april: dict[str, Any]) -> None:
    predictions = pl.read_parquet(Path(april["model"]["path"]) / "predictions.parquet")
    assert predictions.height > 0
    assert (predictions["fitted_before"] <= predictions["timestamp"]).all()


def test_both_fills_are_reported_beside_buy_and_hold(april: dict[str, Any]) -> None:
    assert {"next_open", "same_close"} <= april["buy_and_hold"].keys()
    for fill in ("next_open", "same_close"):
        assert april[fill]["fills"] > 0
        assert math.isfinite(april[fill]["final_value_usd"])
    assert (april["next_open"]["optimistic"], april["same_close"]["optimistic"]) == (False, True)


def test_the_equity_curves_end_on_the_final_values(april: dict[str, Any]) -> None:
    curve = pl.read_parquet(april["folder"] / "equity.parquet")
    assert curve.height == april["bars"]
    for column, fill in {"equity_usd": "next_open", "same_close_usd": "same_close"}.items():
        assert curve[column][-1] == pytest.approx(april[fill]["final_value_usd"], abs=1e-4)


@pytest.mark.slow  # by day `tests/app/test_prove_command.py` proves them on made-up bars
def test_features_labels_folds_and_fills_of_real_bars_do_not_look_ahead(
    april: dict[str, Any], barlake_command: Any
) -> None:
    root = ("--root", april["folder"].parents[1])
    model = ("--model", april["model"]["model_id"])
    for proof in (
        ("features", "SPY"),
        ("labels", "SPY", "--target", "triple_barrier", "--horizon", "30"),
        ("folds", "SPY,QQQ", "--folds", 2),
        ("simulation", "--symbol", "SPY", *model),
    ):
        proven = barlake_command.json("prove", *proof, "--bars", 6_000, *root)
        assert proven["clean"], proof
        assert proven["borders"] > 0


def test_the_run_and_all_that_it_hangs_on_are_made_again_to_the_bit(
    april: dict[str, Any], barlake_command: Any
) -> None:
    before = artifacts_below(april["folder"].parents[1])
    again = barlake_command.json("repro", april["run_id"], "--root", april["folder"].parents[1])
    assert again["same"]
    assert len(again["steps"]) == 4, "features of two symbols, model, run"
    assert artifacts_below(april["folder"].parents[1]) == before


def test_a_feature_that_knows_the_next_bar_is_refused_by_its_name(
    april: dict[str, Any], barlake_command: Any, tmp_path: Path
) -> None:
    root = april["folder"].parents[1]
    before = artifacts_below(root)
    own = tmp_path / "my_features.py"
    own.write_text(LEAKY_SET)
    with barlake_command.start("features", "SPY", "--set", own, "--root", root) as process:
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "'tomorrow' at row " in errors
    assert "looks 1 rows (0:01:00) ahead, at bars.close" in errors
    assert artifacts_below(root) == before


def test_the_catalogue_lists_features_models_and_runs(april: dict[str, Any]) -> None:
    with barlake.open(april["folder"].parents[1]) as lake:
        assert lake.sql("select count(distinct symbol) from feature_versions").item() == 2
        assert lake.sql("select count(*) from models").item() == 1
        assert lake.sql("select count(*) from runs").item() == 1
        [last] = lake.sql("select run, max_by(equity_usd, timestamp) as final from equity group by run").to_dicts()
        assert (last["run"], last["final"]) == (april["run_id"], april["final_value_usd"])
        assert (
            lake.sql("select count(*) from trades").item()
            == april["account"]["metrics"]["trades"] + april["account"]["metrics"]["open_trade"]
        )


def test_the_report_opens_in_a_browser_without_an_error_or_a_request(april: dict[str, Any], browser: Browser) -> None:
    complaints: list[str] = []
    requested: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    report = april["folder"] / "report.html"
    page.goto(report.as_uri(), wait_until="load")
    text = page.inner_text("body")
    drawn = page.locator("svg, canvas, img").count()
    page.close()
    assert complaints == []
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []
    assert requested[0] == report.as_uri()
    assert drawn > 0
    for words in ("SPY", "sip", "drawdown", "buy and hold", "optimistic", april["model"]["model_id"]):
        assert words.lower() in text.lower(), words


@pytest.mark.slow
def test_the_whole_loop_again_makes_the_same_artifacts_and_no_new_file(
    april: dict[str, Any], barlake_command: Any
) -> None:
    root = april["folder"].parents[1]
    before = artifacts_below(root)
    again = run_the_loop(barlake_command, root)
    assert (again["run_id"], again["model"]["model_id"]) == (april["run_id"], april["model"]["model_id"])
    assert artifacts_below(root) == before


def artifacts_below(root: Path) -> dict[str, int]:
    return {
        str(path): path.stat().st_mtime_ns
        for kind in ("features", "models", "runs")
        for path in (root / kind).rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.slow
def test_the_whole_year_trains_on_99_264_joined_minutes(
    barlake_command: Any, year: Path, browser: Browser, tmp_path: Path
) -> None:
    for symbol in ("SPY", "QQQ"):
        barlake_command.run("import", year / f"{symbol}.parquet", "--feed", "sip", "--root", tmp_path)
    done = run_the_loop(barlake_command, tmp_path)
    built = {one["symbol"]: one["rows"] for one in barlake_command.json("features", "--root", tmp_path)["symbols"]}
    assert built == {"SPY": 99_264, "QQQ": 99_300}
    assert (done["model"]["join"]["rows"], done["model"]["join"]["drop_rate"]) == (99_264, 0.0)
    page = browser.new_page()
    page.goto((done["folder"] / "report.html").as_uri())
    assert done["model"]["model_id"] in page.content()
    page.close()
