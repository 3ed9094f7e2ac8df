"""What everyone who works on a lake leaves behind for those who look: heartbeats, logs, alerts."""

from app.operations.operations import Operations, open_operations

__all__ = ["Operations", "open_operations"]
