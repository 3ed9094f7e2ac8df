"""Strategies: small classes that turn bars into wanted positions. What there is: `catalogue.py`."""
