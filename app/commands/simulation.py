"""One simulation on the command line: whose signals, which bars, how orders are filled, what ends a position."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import barlake
from app.commands.options import AdjustmentOption, AsJson, End, Root, Start
from app.console import print_json, progress
from barlake.keys import Adjustment, SessionFilter
from simulation_service.options import FLAGS, OPTIONS, plan_of_options, wrong_source

__all__ = ["simulate"]


def _option(name: str) -> Any:
    """An option that both command lines have, described in one place."""
    described = FLAGS.get(name) or OPTIONS[name][1]
    return typer.Option(f"--{name.replace('_', '-')}", help=described)


_Text = str | None
_Number = float | None
_Count = int | None


def simulate(
    symbol: Annotated[
        str, typer.Option("--symbol", help="Symbol to trade, or several on one account: SPY,QQQ.", show_default=False)
    ],
    model: Annotated[
        _Text, typer.Option("--model", help="Id of a model of this lake, its first digits, or newest.")
    ] = None,
    signals: Annotated[
        Path | None, typer.Option("--signals", help="CSV or Parquet with timestamp and signal, instead of a model.")
    ] = None,
    strategy: Annotated[
        _Text, typer.Option("--strategy", help="A strategy, or one of yours: my_module.py:MyStrategy.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the strategy, such as fast_bars=5.")
    ] = None,
    cash: Annotated[str, typer.Option("--cash", help="Dollars to start with.")] = "100000",
    fill: Annotated[_Text, _option("fill")] = None,
    delay_bars: Annotated[_Count, _option("delay_bars")] = None,
    volume_share: Annotated[_Number, _option("volume_share")] = None,
    half_spread_bps: Annotated[_Number, _option("half_spread_bps")] = None,
    slippage_bps: Annotated[_Number, _option("slippage_bps")] = None,
    per_share_usd: Annotated[_Number, _option("per_share_usd")] = None,
    per_order_usd: Annotated[_Number, _option("per_order_usd")] = None,
    sell_fee_rate: Annotated[_Number, _option("sell_fee_rate")] = None,
    sell_fee_per_share_usd: Annotated[_Number, _option("sell_fee_per_share_usd")] = None,
    sell_fee_most_usd: Annotated[_Number, _option("sell_fee_most_usd")] = None,
    direction: Annotated[_Text, _option("direction")] = None,
    fractional: Annotated[bool, _option("fractional")] = False,
    stop_loss: Annotated[_Number, _option("stop_loss")] = None,
    take_profit: Annotated[_Number, _option("take_profit")] = None,
    trailing_stop: Annotated[_Number, _option("trailing_stop")] = None,
    flat_at_close: Annotated[bool, _option("flat_at_close")] = False,
    max_holding_bars: Annotated[_Count, _option("max_holding_bars")] = None,
    max_drawdown: Annotated[_Number, _option("max_drawdown")] = None,
    daily_loss_limit: Annotated[_Number, _option("daily_loss_limit")] = None,
    sizing: Annotated[_Text, _option("sizing")] = None,
    sizes: Annotated[
        list[str] | None, typer.Option("--size", help="A parameter of the sizing, such as target=0.1.")
    ] = None,
    gross: Annotated[_Number, _option("gross")] = None,
    net: Annotated[_Number, _option("net")] = None,
    per_symbol: Annotated[_Number, _option("per_symbol")] = None,
    correlation: Annotated[_Number, _option("correlation")] = None,
    rebalance: Annotated[_Text, _option("rebalance")] = None,
    drift: Annotated[_Number, _option("drift")] = None,
    adjustment: AdjustmentOption = Adjustment.RAW.value,
    session: Annotated[
        _Text,
        typer.Option("--session", help=f"Hours: {', '.join(SessionFilter)}. Default: the model's, or regular."),
    ] = None,
    feed: Annotated[
        _Text, typer.Option("--feed", help="Default: the model's, or sip, then iex, then the only other feed.")
    ] = None,
    start: Start = None,
    end: End = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Trade a model's predictions, signals from a file, or a strategy, beside the plain rule and buy and hold."""
    given = dict(locals())
    from simulation_service.report_text import print_report
    from simulation_service.simulate import simulate as carry_out

    if (wrong := wrong_source(given)) is not None:
        raise typer.BadParameter(wrong)
    plan = plan_of_options([symbol], given)
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        report = carry_out(lake, plan, progress=begin("simulation"))
    if as_json:
        print_json(report.as_dict())
    else:
        print_report(report, Console(highlight=False))
