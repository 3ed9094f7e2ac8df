from __future__ import annotations

import datetime as dt
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from barlake import Lake
from barlake.errors import InvalidInputError, LookAheadError, NotFoundError
from barlake.keys import ArtifactKind
from barlake.run_tables import RUN_TABLES
from barlake.testing import make_bars
from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.plan import FileSource, ModelSource, SimulationPlan
from simulation_service.report_text import print_report
from simulation_service.rules import Direction, Rules
from simulation_service.simulate import SimulationReport, simulate


def simulate_signals(lake: Lake, path: Path, symbol: str, **options: Any) -> SimulationReport:
    return _simulated(lake, symbol, FileSource(path), options)


def simulate_model(lake: Lake, model_id: str, symbol: str, **options: Any) -> SimulationReport:
    return _simulated(lake, symbol, ModelSource(model_id), options)


def _simulated(lake: Lake, symbol: str, source: Any, options: dict[str, Any]) -> SimulationReport:
    progress = options.pop("progress", None)
    if "fill" in options:
        options["execution"] = Execution(Fill.parse(options.pop("fill")))
    return simulate(lake, SimulationPlan((symbol,), source, **options), progress=progress)


@pytest.fixture
def signals_file(predictions: pl.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "my signals.csv"
    predictions.select("timestamp", "signal").write_csv(path)
    return path


def replayed_by_hand(bars: pl.DataFrame, signals: list[float], fill: str) -> tuple[Decimal, int, int]:
    """Final value, fills and shares bought, in Decimal, from what the lake itself hands out."""
    cash, shares, fills, bought = Decimal(100_000), 0, 0, 0
    rows = list(zip(bars["open"], bars["close"], signals, strict=True))
    for bar, (_, close, signal) in enumerate(rows):
        wanted = signal if fill == "same_close" else (rows[bar - 1][2] if bar else None)
        price = Decimal(str(close if fill == "same_close" else rows[bar][0]))
        if wanted is not None and wanted > 0 and not shares:
            shares = int(cash // price)
            cash -= shares * price
            fills, bought = fills + 1, bought + shares
        elif wanted is not None and wanted <= 0 and shares:
            cash, shares, fills = cash + shares * price, 0, fills + 1
    return cash + shares * Decimal(str(rows[-1][1])), fills, bought


def test_both_fills_of_a_file_come_out_as_worked_out_from_the_bars(
    lake: Lake, signals_file: Path, predictions: pl.DataFrame
) -> None:
    report = simulate_signals(lake, signals_file, "SPY")
    bars = lake.bars("SPY", "2024-01-03", session="regular")
    for fill in ("next_open", "same_close"):
        final, fills, bought = replayed_by_hand(bars, predictions["signal"].to_list(), fill)
        account = report.results[fill]
        assert Decimal(account["final_value"]) == final
        assert (account["final_value_usd"], account["fills"], account["shares_bought"]) == (float(final), fills, bought)
        assert fills > 5


def test_model_and_a_file_of_its_signals_give_the_same_figures(
    lake: Lake, make_model: Any, predictions: pl.DataFrame, signals_file: Path
) -> None:
    of_model = simulate_model(lake, make_model(predictions), "SPY").results
    of_file = simulate_signals(lake, signals_file, "SPY").results
    assert of_model["signals_from"] == "model"
    for name in ("next_open", "same_close", "buy_and_hold", "bars", "first_bar", "last_bar"):
        assert of_model[name] == of_file[name]


def test_same_run_again_writes_nothing(lake: Lake, signals_file: Path) -> None:
    first = simulate_signals(lake, signals_file, "SPY")
    before = {path: path.stat().st_mtime_ns for path in first.run.path.rglob("*")}
    again = simulate_signals(lake, signals_file, "spy", cash_usd="100000.00")
    assert (first.is_new, again.is_new) == (True, False)
    assert again.run_id == first.run_id
    assert {path: path.stat().st_mtime_ns for path in first.run.path.rglob("*")} == before
    assert again.as_dict() == first.as_dict() | {"created": False}


def test_another_bar_signal_setting_or_period_is_another_run(lake: Lake, signals_file: Path, tmp_path: Path) -> None:
    def run(**options: Any) -> str:
        return simulate_signals(lake, options.pop("path", signals_file), "SPY", **options).run_id

    ids = [run(), run(cash_usd=5000), run(fill="same_close"), run(end="2024-01-04")]
    other = tmp_path / "other.csv"
    lines = signals_file.read_text().splitlines()
    other.write_text("\n".join([*lines[:-1], lines[-1].rsplit(",", 1)[0] + ",0.5"]))
    ids.append(run(path=other))
    lake.write_bars(make_bars([dt.date(2024, 1, 4)], seed=9, minutes=41).tail(1), feed="synthetic", symbol="SPY")
    ids.append(run())
    assert len(set(ids)) == len(ids)


def test_run_folder_holds_every_table_of_its_schema_and_the_report_with_their_hashes(
    lake: Lake, make_model: Any, predictions: pl.DataFrame
) -> None:
    report = simulate_model(lake, make_model(predictions), "SPY")
    tables = ("predictions", *RUN_TABLES)
    assert set(report.run.files) == {"report.html", *(f"{name}.parquet" for name in tables)}
    for name in report.run.files:
        lake.artifacts.verified_file(report.run, name)
    for name, schema in RUN_TABLES.items():
        assert pl.read_parquet_schema(report.run.path / f"{name}.parquet") == schema


def test_equity_ends_on_the_figures_of_the_manifest(lake: Lake, signals_file: Path) -> None:
    report = simulate_signals(lake, signals_file, "SPY")
    equity = pl.read_parquet(report.run.path / "equity.parquet")
    assert equity.height == report.results["bars"] == 80
    last, results = equity.row(-1, named=True), report.results
    assert last["equity_usd"] == results["account"]["final_value_usd"] == results["next_open"]["final_value_usd"]
    assert last["same_close_usd"] == results["same_close"]["final_value_usd"]
    assert last["buy_and_hold_usd"] == results["buy_and_hold"]["next_open"]["final_value_usd"]
    assert (equity["cash_usd"] + equity["position_usd"] - equity["equity_usd"]).abs().max() < 1e-9


def test_orders_fills_and_trades_tell_one_story(lake: Lake, signals_file: Path, predictions: pl.DataFrame) -> None:
    report = simulate_signals(lake, signals_file, "SPY")
    orders, fills, trades = (
        pl.read_parquet(report.run.path / f"{name}.parquet") for name in ("orders", "fills", "trades")
    )
    metrics = report.results["account"]["metrics"]
    assert trades.height == metrics["trades"] + metrics["open_trade"]
    filled = orders.filter(status="filled")
    assert filled["timestamp"].equals(fills["signal_timestamp"])
    assert (filled["shares_filled"] == fills["shares"].abs()).all()
    assert (filled["side"] == "buy").equals(fills["shares"] > 0)
    # An order waits for the bar after its signal, and the signals say when to turn.
    assert (fills["timestamp"] - fills["signal_timestamp"] == dt.timedelta(minutes=1)).sum() >= fills.height - 1
    turns = predictions.filter((pl.col("signal") > 0) != (pl.col("signal") > 0).shift(1, fill_value=False))
    assert orders["timestamp"].equals(turns["timestamp"])


def test_order_of_the_last_bar_is_not_filled(lake: Lake, predictions: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "signals.parquet"
    last = predictions["timestamp"][-1]
    predictions.select("timestamp", signal=(pl.col("timestamp") == last).cast(pl.Float64)).write_parquet(path)
    report = simulate_signals(lake, path, "SPY")
    [order] = pl.read_parquet(report.run.path / "orders.parquet").to_dicts()
    assert (order["timestamp"], order["side"], order["status"]) == (last, "buy", "not filled")
    assert (order["shares_asked"], order["shares_filled"]) == (None, 0.0)


def test_report_as_json_has_the_headline_both_fills_and_the_page(lake: Lake, signals_file: Path) -> None:
    report = simulate_signals(lake, signals_file, "SPY", fill="same_close")
    shown = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert shown["run_id"] == report.run_id
    assert shown["final_value"] == shown["same_close"]["final_value"]
    assert (shown["next_open"]["optimistic"], shown["same_close"]["optimistic"]) == (False, True)
    assert set(shown["buy_and_hold"]) == {"next_open", "same_close"}
    assert Path(shown["report"]).is_file()


def test_run_names_its_bars_and_signals_by_hash(lake: Lake, make_model: Any, predictions: pl.DataFrame) -> None:
    model_id = make_model(predictions)
    run = simulate_model(lake, model_id[:6], "SPY").run
    snapshot = lake.snapshot("SPY", "2024-01-03", "2024-01-05", feed="synthetic")
    assert run.inputs["bars"] == snapshot.as_dict()
    assert run.inputs["model"] == model_id
    model = lake.artifacts.find(ArtifactKind.MODEL, model_id)
    assert run.inputs["predictions_sha256"] == model.files["predictions.parquet"]["sha256"]


def test_start_and_end_narrow_the_period(lake: Lake, signals_file: Path) -> None:
    report = simulate_signals(
        lake, signals_file, "SPY", start="2024-01-03T14:35:00Z", end=dt.datetime(2024, 1, 3, 14, 45, tzinfo=dt.UTC)
    )
    assert (report.results["bars"], report.results["sessions"]) == (10, 1)
    assert report.results["first_bar"] == "2024-01-03T14:35:00+00:00"
    assert report.results["last_bar"] == "2024-01-03T14:44:00+00:00"


def test_bars_without_prediction_hold_and_are_counted(lake: Lake, make_model: Any, predictions: pl.DataFrame) -> None:
    thin = predictions.filter(pl.int_range(pl.len()) % 10 != 5)
    report = simulate_model(lake, make_model(thin), "SPY")
    assert (report.results["bars"], report.results["bars_without_signal"]) == (80, 8)


def test_signals_outside_the_session_asked_for_are_counted(lake: Lake, tmp_path: Path) -> None:
    stamps = ["2024-01-03T12:00:00Z", "2024-01-03T14:30:00Z", "2024-01-03T14:31:00Z"]
    path = tmp_path / "signals.csv"
    path.write_text("timestamp,signal\n" + "".join(f"{stamp},1\n" for stamp in stamps))
    assert simulate_signals(lake, path, "SPY").results["unmatched_signals"] == 1


def test_prices_finer_than_a_tick_are_rounded_and_counted(lake: Lake, tmp_path: Path) -> None:
    fine = make_bars([dt.date(2024, 1, 2)], minutes=5).with_columns(close=pl.col("open") + 0.00003)
    fine = fine.with_columns(high=pl.max_horizontal("high", "close"))
    lake.write_bars(fine, feed="synthetic", symbol="IWM")
    path = tmp_path / "signals.parquet"
    fine.select("timestamp", signal=pl.lit(1.0)).write_parquet(path)
    report = simulate_signals(lake, path, "IWM")
    assert report.results["prices_rounded"] == 5
    assert report.results["largest_rounding_usd"] == pytest.approx(3e-5)
    assert "5 to the nearest $0.0001" in report.report_path.read_text()


def test_progress_is_told_each_step_up_to_the_end(lake: Lake, signals_file: Path) -> None:
    for expected in ([0, 1, 2, 3, 4], [0, 4]):
        told: list[tuple[str, int, int]] = []
        simulate_signals(lake, signals_file, "SPY", progress=lambda *step, told=told: told.append(step))
        assert [done for _, done, _ in told] == expected
        assert {total for *_, total in told} == {4}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cash_usd": -1}, "cash -1 is not an amount"),
        ({"fill": "close"}, "fill 'close' is not known"),
        ({"session": "night"}, "session 'night' is not known"),
        ({"start": "2024-01-04", "end": "2024-01-03"}, "is not before end"),
        ({"start": "2025-01-01"}, "no signal of file 'my signals.csv' lies in"),
        ({"start": "2024-01-03T10:00:00"}, "has no time zone"),
    ],
)
def test_wrong_option_is_one_error_and_leaves_no_run(
    lake: Lake, signals_file: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        simulate_signals(lake, signals_file, "SPY", **options)
    assert lake.artifacts.list(ArtifactKind.RUN) == []
    assert not list((lake.root / "runs").glob("*"))


def test_unknown_symbol_or_model_is_not_found(lake: Lake, signals_file: Path) -> None:
    with pytest.raises(NotFoundError, match="symbol 'SPX' has no bars"):
        simulate_signals(lake, signals_file, "SPX")
    with pytest.raises(NotFoundError, match="model 'abc' is not in the lake"):
        simulate_model(lake, "abc", "SPY")


def test_model_that_saw_its_future_makes_no_run(lake: Lake, make_model: Any, predictions: pl.DataFrame) -> None:
    leaking = predictions.with_columns(fitted_before=pl.lit(predictions["timestamp"][-1]))
    with pytest.raises(LookAheadError):
        simulate_model(lake, make_model(leaking), "SPY")
    assert lake.artifacts.list(ArtifactKind.RUN) == []


def test_signal_of_a_bar_never_reaches_a_fill_before_it(lake: Lake, signals_file: Path) -> None:
    """Changing every signal from some bar on leaves the account up to that bar as it was."""

    def equity(report: SimulationReport) -> pl.DataFrame:
        return pl.read_parquet(report.run.path / "equity.parquet")

    whole = equity(simulate_signals(lake, signals_file, "SPY"))
    lines = signals_file.read_text().splitlines()
    for cut in (1, 13, 14, 40, 79):
        changed = [line.rsplit(",", 1)[0] + f",{1 - float(line.rsplit(',', 1)[1])}" for line in lines[cut + 1 :]]
        signals_file.write_text("\n".join([*lines[: cut + 1], *changed]))
        other = equity(simulate_signals(lake, signals_file, "SPY"))
        assert other.head(cut).equals(whole.head(cut))
        filled = ["timestamp", "cash_usd", "equity_usd", "buy_and_hold_usd"]
        assert other.select(filled).head(cut + 1).equals(whole.select(filled).head(cut + 1))


def test_the_ladder_and_the_random_entries_of_a_run_agree_with_its_accounts(lake: Lake, signals_file: Path) -> None:
    costs = Costs(half_spread_bps=2.0, per_order_usd=1.0)
    found = simulate_signals(lake, signals_file, "SPY", execution=Execution(costs=costs)).results
    rungs = {rung["name"]: rung for rung in found["ladder"]["rungs"]}
    assert not found["ladder"]["assumed"]
    assert rungs["same close"]["final_value"] == found["same_close"]["final_value"]
    assert rungs["next open"]["final_value"] == found["next_open"]["final_value"]
    assert rungs["+ fees"]["final_value"] == found["account"]["final_value"]
    assert rungs["+ fees"]["costs_usd"] == found["account"]["costs_usd"] > 0
    assert found["ladder"]["break_even_cost_bps"] == found["next_open"]["metrics"]["break_even_cost_bps"]
    entries, metrics = found["random_entries"], found["account"]["metrics"]
    assert entries["trades"] == metrics["trades"] + metrics["open_trade"]
    assert (entries["exposure"], entries["total_return"]) == (metrics["exposure"], metrics["total_return"])
    assert metrics["capacity_usd"] > 0


def test_a_lucky_account_beside_the_run_that_leaves_the_exact_range_says_so_and_the_run_stands(
    lake: Lake, tmp_path: Path
) -> None:
    """Closes of 1 and 2 dollars in turn, bought at 1 and sold at 2, double the cash sixty times; the open is flat."""
    turn = pl.int_range(pl.len()) % 2
    bars = make_bars([dt.date(2024, 1, 3)]).head(120)
    lake.write_bars(
        bars.with_columns(open=1.5, high=2.0, low=1.0, close=1.0 + turn, volume=10**6), feed="synthetic", symbol="LUCK"
    )
    path = tmp_path / "lucky.csv"
    bars.select("timestamp", signal=1 - turn).write_csv(path)
    report = simulate_signals(lake, path, "LUCK", rules=Rules(stop_loss=0.9), feed="synthetic")
    first, second = report.results["ladder"]["rungs"][:2]
    assert (first["final_value"], first["total_return"], first["fills"]) == (None, None, None)
    assert "beyond which cents are not exact" in first["reason"]
    assert (second["final_value"], second["reason"]) == (
        "133333.00",
        None,
    )  # 66,666 shares at 1.50, at the last close of 2
    assert report.results["same_close"]["metrics"]["sharpe"] is None
    assert pl.read_parquet(report.run.path / "equity.parquet")["same_close_usd"].null_count() == 120
    console = Console(file=io.StringIO(), width=200)
    print_report(report, console)
    for told in (console.file.getvalue(), report.report_path.read_text()):
        assert "ame close: the account passes" in told


def test_the_curve_at_the_same_close_is_that_of_the_first_rung_whatever_the_rules(
    lake: Lake, signals_file: Path
) -> None:
    report = simulate_signals(lake, signals_file, "SPY", rules=Rules(direction=Direction.SHORT, stop_loss=0.0005))
    curve = pl.read_parquet(report.run.path / "equity.parquet")["same_close_usd"]
    assert curve[-1] == report.results["ladder"]["rungs"][0]["final_value_usd"]
    assert curve[-1] != report.results["same_close"]["final_value_usd"]
