"""From data sources to bars in the lake: speaking to Alpaca, pacing, normalising, gaps, backfill, live."""
