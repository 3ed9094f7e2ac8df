"""A version is the hash of parameters, feed, hours and code, and of nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import re
import sys
from types import ModuleType

import pytest

from barlake.artifacts import canonical_json
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import FeatureSetKey, SessionFilter
from feature_service import feature_set, sets
from feature_service.cross import context_return
from feature_service.declare import feature
from feature_service.returns import log_return
from feature_service.sets import CORE, FULL, FeatureSet, find_feature_set
from feature_service.trend import sma
from feature_service.volatility import volatility


def key_of(feature_set: FeatureSet, *, feed: str = "sip", hours: str = "regular") -> FeatureSetKey:
    return feature_set.key(feed=feed, session=SessionFilter(hours))


def test_the_same_set_has_the_same_version() -> None:
    assert key_of(CORE) == key_of(FeatureSet("core", CORE.features))
    assert re.fullmatch("[0-9a-f]{16}", key_of(CORE).version)


def test_another_parameter_feed_hours_or_name_is_another_version() -> None:
    one = FeatureSet("one", (sma.named("average", window_bars=5),))
    others = [
        key_of(FeatureSet("one", (sma.named("average", window_bars=6),))),
        key_of(FeatureSet("one", (sma.named("mean", window_bars=5),))),
        key_of(FeatureSet("two", one.features)),
        key_of(one, feed="iex"),
        key_of(one, hours="all"),
    ]
    assert len({key.version for key in [key_of(one), *others]}) == 6


def test_changed_code_of_a_feature_is_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    code = CORE.code
    monkeypatch.setattr(feature_set, "code_hash", lambda *modules: "".join(sorted(m.__name__ for m in modules)))
    taking_part = CORE.code
    for family in ("trend", "momentum", "volatility", "volume", "returns", "clock", "flat", "compute"):
        assert f"feature_service.{family}" in taking_part
    assert taking_part != code


def test_code_that_a_feature_borrows_from_another_family_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ModuleType] = []
    monkeypatch.setattr(feature_set, "code_hash", lambda *modules: seen.extend(modules) or "x")
    _ = FeatureSet("one", (volatility.named("volatility_5", window_bars=5),)).code
    assert sys.modules[log_return.function.__module__] in seen


def test_names_in_a_set_are_unique_and_read_like_columns() -> None:
    assert len(CORE.features) == 37
    names = [one.name for one in FULL.features]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    assert {"sma_200", "rsi_14", "session_vwap", "minute_of_session"} <= set(names)


def test_the_full_set_begins_with_the_core_set_and_asks_for_context_macro_and_news() -> None:
    assert FULL.features[: len(CORE.features)] == CORE.features
    assert 115 <= len(FULL.features) <= 140
    assert (FULL.context, FULL.needs_context, FULL.needs_macro, FULL.needs_news) == ("SPY", True, True, True)
    assert FULL.macro_series == ("DGS10", "T10Y2Y", "VIXCLS")
    assert (CORE.context, CORE.needs_context, CORE.needs_macro, CORE.needs_news) == (None, False, False, False)
    assert len({one.family for one in FULL.features}) >= 10


def test_another_adjustment_context_or_declared_version_is_another_version() -> None:
    keys = {
        key_of(FULL),
        FULL.key(feed="sip", session=SessionFilter.REGULAR, adjustment="all"),
        key_of(FULL.with_context("qqq")),
        key_of(dataclasses.replace(FULL, version=2)),
    }
    assert len(keys) == 4
    # A set that reads no context is the same whatever it is told.
    assert key_of(CORE.with_context("QQQ")) == key_of(CORE)
    assert FULL.with_context("qqq").context == "QQQ"


def test_another_timeframe_or_default_is_another_version() -> None:
    one, other = (
        FeatureSet("one", (sma.named("average", window_bars=5, timeframe=timeframe),)) for timeframe in ("1Min", "5Min")
    )
    assert key_of(one) != key_of(other)
    assert context_return.named("r", span_bars=1).parameters == {"span_bars": 1, "lag_bars": 0}


def test_a_feature_knows_which_columns_it_reads() -> None:
    read = {one.name: one.inputs for one in FULL.features}
    assert read["sma_20"] == ("close",)
    assert read["vix_change"] == ("macro_VIXCLS", "macro_VIXCLS_before")
    assert read["beta_390"] == ("close", "context_close")
    assert read["news_60_minutes"] == ("news_articles_60",)


def test_the_definition_names_the_source_of_every_function_and_its_hash() -> None:
    described = FULL.definition(feed="sip", session=SessionFilter.REGULAR)["features"]
    average = next(one for one in described if one["name"] == "sma_20")
    assert average["source"] == "feature_service.trend.sma"
    assert average["source_hash"] == hashlib.sha256(inspect.getsource(sma.function).encode()).hexdigest()
    assert {one["source_hash"] for one in described if one["family"] == "trend"} != {average["source_hash"]}


@pytest.mark.parametrize("one", FULL.features, ids=lambda one: one.name)
def test_every_feature_states_what_it_is_its_formula_unit_and_source(one: sets.Feature) -> None:
    assert one.unit
    assert re.search(r"^Formula: ", one.description, flags=re.MULTILINE)
    assert re.search(r"^Source: ", one.description, flags=re.MULTILINE)


def test_a_definition_can_be_written_as_json() -> None:
    definition = CORE.definition(feed="sip", session=SessionFilter.REGULAR)
    text = canonical_json(definition)
    assert definition["feed"] == "sip"
    assert definition["session"] == "regular"
    assert '"window_bars":200' in text
    assert definition["code"] == CORE.code


def test_an_unknown_set_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(NotFoundError, match=r"'cor' is not declared: use one of core.*'core'\?"):
        find_feature_set("cor")


def test_two_columns_of_one_name_are_refused() -> None:
    twice = sma.named("average", window_bars=5)
    with pytest.raises(InvalidInputError, match="feature set 'one' names 'average' twice"):
        FeatureSet("one", (twice, twice))


def test_a_column_named_like_a_bars_own_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="'close'"):
        FeatureSet("one", (sma.named("close", window_bars=5),))


def test_a_feature_of_ones_own_is_declared_like_those_here() -> None:
    doubled = feature(unit="log return", history_bars=lambda given: given["span_bars"])(
        lambda *, span_bars: 2 * log_return(span_bars=span_bars)
    )
    made = doubled.named("doubled_3", span_bars=3)
    assert (made.name, made.history_bars, made.parameters) == ("doubled_3", 3, {"span_bars": 3})
    assert dataclasses.replace(made, name="other").function is made.function
