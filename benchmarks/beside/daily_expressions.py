"""What both sides of the daily task share: the features, where the bars are, how much memory it took.

Imported in an environment that has Qlib and not Barlake, so it needs the standard library alone.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["EXPRESSIONS", "PARQUET", "QLIB", "peak_mb"]

PARQUET, QLIB = "bars.parquet", "qlib"
EXPRESSIONS = {
    "log_return_1": "Log($close/Ref($close,1))",
    "log_return_5": "Log($close/Ref($close,5))",
    "log_return_20": "Log($close/Ref($close,20))",
    "sma_distance_5": "$close/Mean($close,5)-1",
    "sma_distance_20": "$close/Mean($close,20)-1",
    "sma_distance_60": "$close/Mean($close,60)-1",
    "volatility_20": "Std(Log($close/Ref($close,1)),20)",
    "volatility_60": "Std(Log($close/Ref($close,1)),60)",
    "channel_position_20": "($close-Min($low,20))/(Max($high,20)-Min($low,20))",
    "volume_ratio_20": "$volume/Mean($volume,20)",
    "trend_slope_20": "Slope($close,20)/$close",
    "body": "Log($close/$open)",
    "bar_range": "Log($high/$low)",
    "drawdown_60": "$close/Max($close,60)-1",
}
"""Our name of each feature, and Qlib's formula of it."""


def peak_mb() -> float | None:
    """Most memory this process held, in MB; None where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
