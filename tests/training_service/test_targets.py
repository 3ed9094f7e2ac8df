"""Targets from options: what they take, what they are when not asked, and what they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from training_service.targets import Target, TargetSpec, Task

WIDTHS = {"volatility_window": 120.0, "upper": 1.0, "lower": 1.0}


@pytest.mark.parametrize(
    ("target", "task", "parameters"),
    [
        ("direction", Task.CLASSIFICATION, {}),
        ("return", Task.REGRESSION, {}),
        ("scaled_return", Task.REGRESSION, {"volatility_window": 120.0}),
        ("triple_barrier", Task.CLASSIFICATION, WIDTHS),
    ],
)
def test_each_target_has_its_own_task_and_parameters(target: str, task: Task, parameters: dict[str, float]) -> None:
    spec = TargetSpec.parse(target, 5)
    assert (spec.task, dict(spec.parameters)) == (task, parameters)


def test_a_scaled_return_is_a_class_when_asked_and_then_has_a_threshold() -> None:
    spec = TargetSpec.parse("scaled_return", 5, task="classification", parameters={"threshold": 0.5})
    assert dict(spec.parameters) == {"volatility_window": 120.0, "threshold": 0.5}


def test_names_are_read_in_any_case() -> None:
    assert TargetSpec.parse("DIRECTION", "Close", task="Classification") == TargetSpec.parse("direction", None)


specs = st.one_of(
    st.builds(TargetSpec.parse, st.sampled_from(Target), st.one_of(st.none(), st.integers(1, 400))),
    st.builds(
        TargetSpec.parse,
        st.just("triple_barrier"),
        st.integers(1, 400),
        task=st.sampled_from(Task),
        parameters=st.fixed_dictionaries({"upper": st.floats(0.01, 100), "volatility_window": st.integers(2, 999)}),
    ),
)


@given(specs)
def test_what_a_manifest_holds_gives_the_same_target_back(spec: TargetSpec) -> None:
    held = spec.as_dict()
    back = TargetSpec.parse(held["target"], held["horizon"], task=held["task"], parameters=held["target_parameters"])
    assert back == spec


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "up"}, "target 'up' is not known: use one of direction, return, scaled_return, triple_barrier"),
        ({"target": "triple_barier"}, "Did you mean 'triple_barrier'"),
        ({"horizon": 0}, "horizon 0 is below 1"),
        ({"horizon": "soon"}, "horizon 'soon' is no number: give whole minutes, or 'close'"),
        ({"horizon": "5.5"}, "horizon '5.5' is no number"),
        ({"task": "regression"}, "task 'regression' does not fit target 'direction': it is a classification"),
        ({"task": "ranking"}, "task 'ranking' is not known: use one of classification, regression"),
        ({"parameters": {"upper": 1}}, "'upper' is not known: direction as a classification takes none"),
        ({"target": "triple_barrier", "parameters": {"uper": 1}}, "takes volatility_window, upper, lower"),
        ({"target": "triple_barrier", "parameters": {"upper": 0}}, "upper is 0: it must be above 0"),
        ({"target": "triple_barrier", "parameters": {"lower": -1}}, "lower is -1: it must be above 0"),
        ({"target": "scaled_return", "parameters": {"volatility_window": 1}}, "volatility_window is 1: .* at least 2"),
        ({"target": "scaled_return", "parameters": {"volatility_window": 2.5}}, "window is 2.5: .* whole number"),
        ({"target": "scaled_return", "parameters": {"volatility_window": float("nan")}}, "is nan: .* finite number"),
        ({"target": "triple_barrier", "parameters": {"upper": "wide"}}, "upper is 'wide': give a number"),
    ],
)
def test_what_cannot_be_a_target_is_refused_with_what_can(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        TargetSpec.parse(**({"target": "direction", "horizon": 5} | options))  # type: ignore[arg-type]  # options vary in type


def test_a_target_made_by_hand_must_have_all_its_parameters() -> None:
    with pytest.raises(InvalidInputError, match=r"'lower' is missing: .* fills in 1"):
        TargetSpec(Target.TRIPLE_BARRIER, 5, Task.CLASSIFICATION, {"volatility_window": 2.0, "upper": 1.0})
