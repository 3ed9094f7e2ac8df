"""The door of `barlake`: small, so that Ctrl-C during the second of imports behind it is met too."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process and end it with its exit code."""
    try:
        from app.cli import run  # noqa: PLC0415 - the import is what may be interrupted
    except KeyboardInterrupt:
        sys.stderr.write("stopped before anything was begun.\n")
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
