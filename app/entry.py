"""The door of `barlake`: small, so that Ctrl-C during the second of imports behind it is met too."""

from __future__ import annotations

import os
import sys

__all__ = ["main", "spare_memory"]

_OF_POLARS = "_RJEM_MALLOC_CONF"


def spare_memory() -> None:
    """Let Arrow and polars, once they are imported, keep less of what is freed; what the environment says stands."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # One heap a core instead of four, handed back in a tenth of a second; of a word said twice the later one counts.
    said = [f"narenas:{os.cpu_count() or 1},dirty_decay_ms:100,muzzy_decay_ms:0", os.environ.get(_OF_POLARS, "")]
    os.environ[_OF_POLARS] = ",".join(filter(None, said))


def main() -> None:
    """Run the command line of this process and end it with its exit code."""
    spare_memory()
    try:
        from app.cli import run  # noqa: PLC0415 - the import is what may be interrupted
    except KeyboardInterrupt:
        sys.stderr.write("stopped before anything was begun.\n")
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
