"""Bars while the market is open: streamed or polled, provisional at first, final after the session."""
