"""What the set `full` has besides those of `core`, family by family."""

from __future__ import annotations

from barlake.keys import Timeframe
from feature_service import candles, clock, cross, momentum, prior_session, records, returns, trend, volatility, volume
from feature_service import session_position as session
from feature_service.declare import Feature

__all__ = ["CONTEXT_SYMBOL", "MORE_FEATURES"]

CONTEXT_SYMBOL = "SPY"
"""What `full` looks at besides the symbol unless told otherwise: the market as a whole."""

_FIVE, _FIFTEEN, _HOUR, _DAY = Timeframe.MINUTE_5, Timeframe.MINUTE_15, Timeframe.HOUR, Timeframe.DAY

_TREND = (
    trend.sma_distance.named("sma_distance_20", window_bars=20),
    trend.sma_distance.named("sma_distance_200", window_bars=200),
    trend.sma_cross.named("sma_cross_20_50", fast_bars=20, slow_bars=50),
    trend.price_oscillator.named("ppo_12_26", fast_bars=12, slow_bars=26),
    trend.trend_slope.named("trend_slope_30", window_bars=30),
    trend.trend_distance.named("trend_distance_30", window_bars=30),
    trend.adx.named("adx_14", window_bars=14),
    trend.aroon_oscillator.named("aroon_25", window_bars=25),
    trend.trix.named("trix_15", window_bars=15),
    trend.channel_position.named("channel_position_60", window_bars=60),
    trend.channel_position.named("channel_position_390", window_bars=390),
)
_MOMENTUM = (
    momentum.rsi.named("rsi_30", window_bars=30),
    momentum.ultimate_oscillator.named("ultimate_7_14_28", short_bars=7, middle_bars=14, long_bars=28),
    momentum.efficiency_ratio.named("efficiency_30", window_bars=30),
    momentum.return_t_statistic.named("return_t_60", window_bars=60),
    momentum.acceleration.named("acceleration_5", span_bars=5),
)
_VOLATILITY = (
    volatility.parkinson_volatility.named("parkinson_30", window_bars=30),
    volatility.garman_klass_volatility.named("garman_klass_30", window_bars=30),
    volatility.rogers_satchell_volatility.named("rogers_satchell_30", window_bars=30),
    volatility.volatility_ratio.named("volatility_ratio_30_390", fast_bars=30, slow_bars=390),
    volatility.true_range_ratio.named("true_range_ratio_14", window_bars=14),
    volatility.downside_share.named("downside_share_60", window_bars=60),
    volatility.jump_share.named("jump_share_60", window_bars=60),
    volatility.skewness.named("skewness_60", window_bars=60),
)
_VOLUME = (
    volume.relative_volume.named("relative_volume_5"),
    volume.volume_regime.named("volume_regime_20_390", fast_bars=20, slow_bars=390),
    volume.volume_z_score.named("volume_z_60", window_bars=60),
    volume.log_dollar_volume.named("log_dollar_volume"),
    volume.window_vwap_distance.named("vwap_distance_60", window_bars=60),
    volume.money_flow.named("money_flow_20", window_bars=20),
    volume.signed_volume_share.named("signed_volume_20", window_bars=20),
    volume.illiquidity.named("illiquidity_60", window_bars=60),
)
_CANDLES = (
    candles.body.named("body"),
    candles.upper_shadow.named("upper_shadow"),
    candles.lower_shadow.named("lower_shadow"),
    candles.bar_range.named("bar_range"),
    candles.bar_gap.named("bar_gap"),
    candles.range_expansion.named("range_expansion_20", window_bars=20),
    candles.balance_of_power.named("balance_of_power_14", window_bars=14),
    candles.run_length.named("run_length"),
    candles.engulfing.named("engulfing"),
)
_RETURNS = (
    returns.log_return.named("log_return_10", span_bars=10),
    returns.log_return.named("log_return_60", span_bars=60),
    returns.log_return.named("log_return_390", span_bars=390),
    returns.autocorrelation.named("autocorrelation_60", window_bars=60),
    returns.drawdown.named("drawdown_390", window_bars=390),
    returns.rebound.named("rebound_390", window_bars=390),
    returns.rising_share.named("rising_share_30", window_bars=30),
)
_CLOCK_AND_SESSION = (
    clock.session_sine.named("session_sine"),
    clock.session_cosine.named("session_cosine"),
    clock.session_minutes.named("session_minutes"),
    clock.minutes_since_bar.named("minutes_since_bar"),
    session.session_return.named("session_return"),
    session.session_high_distance.named("session_high_distance"),
    session.session_low_distance.named("session_low_distance"),
    session.session_range_position.named("session_range_position"),
    session.opening_range_position.named("opening_range_position_30", opening_minutes=30),
    prior_session.prior_close_return.named("prior_close_return"),
    prior_session.prior_high_distance.named("prior_high_distance"),
    prior_session.prior_low_distance.named("prior_low_distance"),
    prior_session.pivot_distance.named("pivot_distance"),
    prior_session.prior_volume_share.named("prior_volume_share"),
)
_LONGER_BARS = (
    momentum.rsi.named("rsi_14_5min", window_bars=14, timeframe=_FIVE),
    trend.bollinger_position.named("bb_pctb_20_5min", window_bars=20, deviations=2.0, timeframe=_FIVE),
    volume.volume_ratio.named("volume_ratio_20_5min", window_bars=20, timeframe=_FIVE),
    returns.log_return.named("log_return_1_15min", span_bars=1, timeframe=_FIFTEEN),
    momentum.rsi.named("rsi_14_15min", window_bars=14, timeframe=_FIFTEEN),
    trend.adx.named("adx_14_15min", window_bars=14, timeframe=_FIFTEEN),
    volatility.natr.named("natr_14_15min", window_bars=14, timeframe=_FIFTEEN),
    trend.sma_distance.named("sma_distance_20_15min", window_bars=20, timeframe=_FIFTEEN),
    returns.log_return.named("log_return_1_hour", span_bars=1, timeframe=_HOUR),
    trend.channel_position.named("channel_position_20_hour", window_bars=20, timeframe=_HOUR),
    returns.log_return.named("log_return_1_day", span_bars=1, timeframe=_DAY),
    returns.log_return.named("log_return_5_day", span_bars=5, timeframe=_DAY),
    volatility.parkinson_volatility.named("parkinson_10_day", window_bars=10, timeframe=_DAY),
    trend.channel_position.named("channel_position_20_day", window_bars=20, timeframe=_DAY),
)
_CROSS = (
    cross.context_return.named("context_return_1", span_bars=1),
    cross.context_return.named("context_return_1_lag_1", span_bars=1, lag_bars=1),
    cross.context_return.named("context_return_30", span_bars=30),
    cross.context_volatility.named("context_volatility_30", window_bars=30),
    cross.relative_strength.named("relative_strength_30", span_bars=30),
    cross.relative_strength.named("relative_strength_390", span_bars=390),
    cross.beta.named("beta_390", window_bars=390),
    cross.context_correlation.named("context_correlation_60", window_bars=60),
    cross.context_correlation.named("context_correlation_20_15min", window_bars=20, timeframe=_FIFTEEN),
    cross.residual_return.named("residual_return_30", span_bars=30, window_bars=390),
    cross.pair_z_score.named("pair_z_390", window_bars=390),
)
_RECORDS = (
    records.macro_level.named("vix_level", series="VIXCLS"),
    records.macro_change.named("vix_change", series="VIXCLS"),
    records.macro_level.named("ten_year_yield", series="DGS10"),
    records.macro_change.named("ten_year_yield_change", series="DGS10"),
    records.macro_level.named("term_spread", series="T10Y2Y"),
    records.news_count.named("news_60_minutes", window_minutes=60),
    records.news_count.named("news_1440_minutes", window_minutes=1440),
    records.minutes_since_news.named("minutes_since_news"),
)

MORE_FEATURES: tuple[Feature, ...] = (
    *_TREND,
    *_MOMENTUM,
    *_VOLATILITY,
    *_VOLUME,
    *_CANDLES,
    *_RETURNS,
    *_CLOCK_AND_SESSION,
    *_LONGER_BARS,
    *_CROSS,
    *_RECORDS,
)
