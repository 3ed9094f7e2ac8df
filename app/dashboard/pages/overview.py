"""Home: what is here, how fresh it is, what needs whoever looks."""

from __future__ import annotations

from app.dashboard.parts import look
from app.dashboard.parts.lake import lake

__all__ = ["page"]


def page() -> None:
    """Draw the page."""
    held = lake().symbols()
    look.page_header("Home", "What is here, how fresh it is, and what needs you.", feeds=held["feed"])
    if held.is_empty():
        look.empty_state("This lake is empty.", "Queue a ticker, or try everything on made-up bars: `barlake demo`.")


if __name__ == "__main__":
    page()
