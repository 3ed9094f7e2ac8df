"""What one query may use."""

from __future__ import annotations

from dataclasses import dataclass

from barlake.errors import InvalidInputError

__all__ = ["LONGEST_S", "MOST_BYTES", "MOST_ROWS", "Limits"]

LONGEST_S = 30.0
MOST_ROWS = 100_000
MOST_BYTES = 64 << 20
_LEAST_MEMORY_MB, _MOST_MEMORY_MB = 64, 4096


@dataclass(frozen=True)
class Limits:
    """What one query may use.

    Parameters
    ----------
    timeout_s
        Seconds from its start to its last row, above 0 and at most 30.
    max_rows
        Rows handed out, 1 to 100,000; what is beyond is left out, and the answer says so.
    max_bytes
        Bytes of the rows handed out, as Arrow, 1,024 to 64 MiB.
    memory_mb
        Megabytes for DuckDB, 64 to 4,096.

    Raises
    ------
    InvalidInputError
        If one is outside its range.
    """

    timeout_s: float = LONGEST_S
    max_rows: int = 1_000
    max_bytes: int = 8 << 20
    memory_mb: int = 512

    def __post_init__(self) -> None:
        ranges = {
            "timeout_s": (0.001, LONGEST_S),
            "max_rows": (1, MOST_ROWS),
            "max_bytes": (1024, MOST_BYTES),
            "memory_mb": (_LEAST_MEMORY_MB, _MOST_MEMORY_MB),
        }
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise InvalidInputError(f"{name} is {value!r}, outside {least} to {most:,}: ask for less.")
