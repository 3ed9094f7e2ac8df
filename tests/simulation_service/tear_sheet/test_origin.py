from __future__ import annotations

from simulation_service.tear_sheet.origin import Fact, hashes, settings, shares_by_source


def test_settings_name_what_is_used_with_its_unit_and_say_none_for_the_rest() -> None:
    parameters = {
        "symbols": ["SPY"],
        "cash_usd": "100000.00",
        "execution": {"fill": "next_open", "delay_bars": 1, "costs": {"half_spread_bps": 0.5, "per_share_usd": 0.0}},
        "rules": {"stop_loss": None, "fractional": False},
        "sizing": {"limits": {"gross": 1.0}},
        "source": {"kind": "strategy", "parameters": {"fast": 5, "weights": [1, 2]}},
    }
    assert settings(parameters) == [
        Fact("cash", "$100,000.00"),
        Fact("execution", "fill next open, delay bars 1"),
        Fact("costs", "half spread 0.5 bps"),
        Fact("rules", "none"),
        Fact("limits", "gross 1"),
        Fact("source", "kind strategy"),
        Fact("parameters", "fast 5, weights 1, 2"),
    ]


def test_every_hash_that_a_run_was_made_from_is_named() -> None:
    bars = {"symbols": [{"symbol": "SPY", "rows": 99264, "content_hash": "aa" * 32}], "root_hash": "bb" * 32}
    found = hashes(
        {"bars": bars, "model": "feedbeefcafe0001", "strategy": {"code": "cc" * 32}}, code="dd" * 32, run_id="ee" * 8
    )
    assert found == [
        Fact("SPY, 99,264 bars of all hours", "aa" * 32, is_hash=True),
        Fact("model", "feedbeefcafe0001", is_hash=True),
        Fact("strategy code", "cc" * 32, is_hash=True),
        Fact("code", "dd" * 32, is_hash=True),
        Fact("run", "ee" * 8, is_hash=True),
    ]


def test_sources_are_shares_of_all_bars_and_nothing_of_none() -> None:
    assert shares_by_source({"unknown": 1, "alpaca": 2, "import": 1}) == [
        ("alpaca", 2, 0.5),
        ("import", 1, 0.25),
        ("unknown", 1, 0.25),
    ]
    assert shares_by_source({}) == []
