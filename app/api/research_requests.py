"""What may be said of a training and a simulation: the options of the command line, named as there, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SimulateRequest", "TrainRequest"]

Symbol = Annotated[str, Field(min_length=1, max_length=40)]
Text = Annotated[str, Field(max_length=200)]
Value = bool | int | float | Text
Values = Annotated[dict[Annotated[str, Field(min_length=1, max_length=100)], Value], Field(max_length=50)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=100_000)]
Fits = Annotated[int, Field(ge=0, le=1_000)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbols: Annotated[list[Symbol], Field(min_length=1, max_length=50)]

    def options(self) -> dict[str, Any]:
        """The options that were given, as the command line spells them: values by name are texts `name=value`."""
        given = self.model_dump(exclude={"symbols"}, exclude_none=True)
        return {name: _texts(value) if isinstance(value, Mapping) else value for name, value in given.items()}


class TrainRequest(_Request):
    """A training: the symbol to predict first, then context symbols. What is left out is at its default."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"symbols": ["SPY"], "target": "direction", "horizon": "5"}]}
    )

    target: Text | None = Field(None, description="direction, return, scaled_return or triple_barrier.")
    horizon: int | Text | None = Field(None, description="Minutes the label looks ahead, or close.")
    task: Text | None = Field(None, description="classification or regression.")
    target_parameter: Values | None = Field(None, description="upper, lower, volatility_window or threshold.")
    estimator: Text | None = Field(
        None, description="logistic, ridge, random_forest, hist_gradient_boosting, lightgbm or xgboost."
    )
    parameter: Values | None = Field(None, description="Of the estimator.", examples=[{"max_iter": 200}])
    class_weight: Text | None = Field(None, description="balanced, or the weights of 0 and 1: 1,2.")
    select: Count | None = Field(None, description="Columns to keep: those that go best with the label.")
    calibration: Text | None = Field(None, description="sigmoid or isotonic.")
    early_stopping: bool | None = None
    search: Text | None = Field(None, description="grid, random, halving or optuna.")
    space: Values | None = Field(None, description="Values to search.", examples=[{"C": "0.01..10:log"}])
    candidates: Fits | None = Field(None, description="How many random and optuna try.")
    inner_folds: Fits | None = None
    folds: Fits | None = Field(None, description="Walk-forward tests.")
    window: Text | None = Field(None, description="anchored or rolling.")
    train_sessions: Count | None = Field(None, description="Length of a rolling window.")
    embargo: Count | None = Field(None, description="Sessions left out before each test.")
    refit: Text | None = Field(None, description="week, month, quarter, or 20-sessions.")
    combinatorial: Text | None = Field(None, description="Blocks, then blocks tested at a time: 6,2.")
    feature_set: Text | None = None
    session: Text | None = Field(None, description="Hours the features were built over: regular or all.")
    adjustment: Text | None = Field(None, description="Of the prices they were built of.")
    feed: Text | None = None
    seed: int | None = None
    placebo: Fits | None = Field(None, description="Fits on shifted labels, for a p-value.")


class SimulateRequest(_Request):
    """A simulation on one account, of a model's predictions or of a strategy of the house.

    What is left out is at its default: orders filled at the next bar's open, without costs.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"symbols": ["SPY"], "strategy": "buy_and_hold", "half_spread_bps": 0.5}]},
    )

    model: Text | None = Field(None, description="Id of a model, or its first digits.")
    strategy: Text | None = Field(None, description="A strategy of the house, such as moving_average_cross.")
    settings: Values | None = Field(None, description="Of the strategy.", examples=[{"fast_bars": 5}])
    cash: Annotated[str, Field(max_length=40)] | None = Field(None, description="Dollars.", examples=["100000"])
    fill: Text | None = Field(None, description="next_open, or same_close, which is optimistic.")
    delay_bars: Count | None = None
    volume_share: Number | None = None
    half_spread_bps: Number | None = None
    slippage_bps: Number | None = None
    per_share_usd: Number | None = None
    per_order_usd: Number | None = None
    sell_fee_rate: Number | None = None
    sell_fee_per_share_usd: Number | None = None
    sell_fee_most_usd: Number | None = None
    direction: Text | None = Field(None, description="long, short or both.")
    fractional: bool | None = None
    stop_loss: Number | None = None
    take_profit: Number | None = None
    trailing_stop: Number | None = None
    flat_at_close: bool | None = None
    max_holding_bars: Count | None = None
    max_drawdown: Number | None = None
    daily_loss_limit: Number | None = None
    sizing: Text | None = None
    sizes: Values | None = Field(None, description="Of the sizing.", examples=[{"target": 0.1}])
    gross: Number | None = None
    net: Number | None = None
    per_symbol: Number | None = None
    correlation: Number | None = None
    rebalance: Text | None = Field(None, description="never, session, week, month, or a number of bars.")
    drift: Number | None = None
    adjustment: Text | None = None
    session: Text | None = None
    feed: Text | None = None
    start: Text | None = Field(None, description="First session, or an instant with its zone.", examples=["2024-01-02"])
    end: Text | None = Field(None, description="First session, or instant, that is left out.")


def _texts(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in values.items()]
