"""What every test stands on: an empty folder to work in, no keys, no settings of the person who runs it."""

from __future__ import annotations

import os

# Before any test imports a numeric library: several workers with several inner threads each are many
# times slower than several workers with one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.browser", "tests.new_manifests", "tests.servers", "tests.small_lake"]

SETTING_PREFIXES = (
    *("OTEL_", "ALPACA_", "APCA_", "BARLAKE_", "IEX_TOKEN", "SOURCE_DUCKDB_PATH", "DEST_", "AWS_"),
    *("MASSIVE_", "YAHOO_", "ALPHAVANTAGE_", "FRED_", "BINANCE_"),
)

# The same examples on every run: a failure belongs to the change at hand. `search` looks for new ones, and for many.
settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.register_profile("search", parent=settings.get_profile("default"), derandomize=False, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def _alone_in_an_empty_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` and no `./data` of the checkout is met, and none is made there."""
    for name in list(os.environ):
        if name.startswith(SETTING_PREFIXES):
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("cwd")
    monkeypatch.chdir(folder)
