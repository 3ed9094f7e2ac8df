"""The words between those who ask and the process that makes a process for each query."""

from __future__ import annotations

import struct

__all__ = ["END", "FORK", "ORDER"]

ORDER = struct.Struct("<cI")
"""What is wanted, and the number of the process it is about; the answer has the same form."""

FORK, END = b"f", b"e"
