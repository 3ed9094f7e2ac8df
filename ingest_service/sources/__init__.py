"""Where data comes from besides Alpaca's stocks: one small interface, one module a source, a registry of both."""
