"""What the figures say, in whole sentences: the first thing on the page, with nothing left out that would spoil it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulation_service.tear_sheet.figures import benchmark
from simulation_service.tear_sheet.typeset import number

__all__ = ["verdict"]


def verdict(results: Mapping[str, Any]) -> list[str]:
    """Sentences about result, costs and luck of a run."""
    sentences = [_result(results)]
    if results.get("ladder"):
        sentences.append(_costs(results["ladder"]))
    if results.get("random_entries"):
        sentences.append(_luck(results["random_entries"]))
    return sentences


def _result(results: Mapping[str, Any]) -> str:
    own, held = results["account"], benchmark(results)["metrics"]["total_return"]
    return (
        f"${number(results['cash_usd'], 'money')} became ${number(own['final_value'], 'money')} in "
        f"{number(results['sessions'], 'count')} {'session' if results['sessions'] == 1 else 'sessions'}: "
        f"{number(own['metrics']['total_return'], 'percent')}, where buying and holding gave {number(held, 'percent')}."
    )


def _costs(ladder: Mapping[str, Any]) -> str:
    last = ladder["rungs"][-1]
    whose = "typical costs" if ladder["assumed"] else "the costs of this run"
    ending = number(last["total_return"], "percent")
    bars = last["execution"]["delay_bars"]
    delay = "one bar" if bars == 1 else f"{bars} bars"
    text = f"With {whose}, a volume cap and {delay} of delay the same signals end at {ending}"
    if last["total_return"] is None or ladder["rungs"][1]["total_return"] is None:
        return f"{text}; an account on the ladder left the range in which cents are exact."
    break_even = ladder["break_even_cost_bps"]
    if break_even is None:
        return f"{text}; there is no profit that costs could eat."
    return f"{text}; the profit is gone once each dollar bought or sold costs {number(break_even, 'ratio')} bps."


def _luck(entries: Mapping[str, Any]) -> str:
    return (
        f"Of {number(entries['draws'], 'count')} draws of random entries with as many trades, held as long, "
        f"{number(1.0 - entries['lower'], 'whole_share')} did as well or better."
    )
