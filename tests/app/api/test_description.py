"""The whole description, asked: whatever it allows or forbids is answered as it says, and never with a fault.

Schemathesis makes the questions from the description alone, so that a route is tried from the day it is there; each
parameter is then tried by hand with what has fooled other services.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from app.api import rates
from app.api.server import serving
from app.operations import open_operations
from barlake.lake import open_lake
from barlake.settings import load_settings
from barlake.testing import make_bars

load_all_checks()
# A date that is none fits the description's `string`: it is refused all the same. A list where one text is wanted is
# the same parameter twice in an address, of which the last counts.
TOO_STRICT = [CHECKS.get_one(name) for name in ("positive_data_acceptance", "negative_data_rejection")]

HOSTILE = (
    "../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "....//....//etc/passwd", "/etc/passwd", "..\\..\\win.ini",
    "file:///etc/passwd", "SPY/../QQQ", ".", "..", "", " ", "\t\r\n", "\x7f", "\u202e", "\U0001f4c8", "\ud7ff",
    "' OR 1=1 --", "'; DROP TABLE bars; --", '"', "*", "%", "%s%s%n", "${jndi:ldap://x}", "{{7*7}}", "<script>",
    "a" * 3_000, "/" * 500, "-1", "0", "1e309", "NaN", "99999999999999999999", "0000-00-00", "9999-12-31",
    "2024-02-30", "10000-01-01", "0001-01-01T00:00:00+23:59", "2024-01-02T25:00:00Z", "2024-01-02T00:00:00",
    "null", "[]", "{}", "true",
)  # fmt: skip
FEW = HOSTILE[::8]
EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Asked:
    """A running service with a little in it, which asks everybody for a key."""

    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    closed = {"api_open_on_loopback": False, "starts_workers": False}
    settings = load_settings(tmp_path_factory.mktemp("described") / "lake").model_copy(update=closed)
    with open_lake(settings=settings) as lake:
        days = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
        for symbol in ("SPY", "AAPL"):
            lake.write_bars(make_bars(days, minutes=30), feed="synthetic", symbol=symbol, source="made")
        lake.publish()
    with open_operations(settings) as operations:
        _, key = operations.api_keys.create("all", "operator", requests_per_minute=1_000_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rates, "WRONG_KEYS_PER_MINUTE", 1_000_000)  # a check tries wrong ones
        with serving(settings) as url:
            yield Asked(url, key)


def operations_of(url: str) -> list[Any]:
    """Those whose answers have an end; a stream of events has tests of its own."""
    found = [one.ok() for one in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations()]
    return [one for one in found if EVENTS not in json.dumps(one.definition.raw["responses"])]


def ask_everything(asked: Asked, examples: int, *, left_out: Sequence[str] = ()) -> list[str]:
    """What was not answered as described, but for some checks: a line each."""
    excluded = [*TOO_STRICT, *(CHECKS.get_one(name) for name in left_out)]
    faults: dict[str, None] = {}
    made = hypothesis.settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    def try_one(case: Any) -> None:
        try:
            answer = case.call(base_url=asked.url, headers=asked.headers, timeout=60)
            case.validate_response(answer, excluded_checks=excluded)
        except FailureGroup as group:
            for fault in group.exceptions:
                faults[f"{case.operation.label}: {str(fault)[:600]}"] = None

    for operation in operations_of(asked.url):
        strategies = [*operation.get_strategies_from_examples()]
        strategies += [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]
        for strategy in strategies:
            try:
                made(given(case=strategy)(try_one))()
            except hypothesis.errors.Unsatisfiable:
                continue  # without parameters nothing can be wrong
    return list(faults)


def ask_hostile(asked: Asked, values: tuple[str, ...]) -> list[str]:
    """Every parameter of every operation with these values in turn; what was answered badly."""
    described = requests.get(f"{asked.url}/openapi.json", timeout=60).json()
    faults = []
    with requests.Session() as session:
        session.headers.update(asked.headers)
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                for parameter in operation.get("parameters", []):
                    for value in values:
                        answer = send(session, asked.url, path, method, operation, parameter, value)
                        faults += badly_answered(answer, f"{method} {path} {parameter['name']}={value[:40]!r}")
    return faults


def send(
    session: requests.Session, url: str, path: str, method: str, operation: Any, parameter: Any, value: str
) -> requests.Response:
    """One request with a value in one parameter and something plain in the others of its path."""
    names = {one["name"]: "SPY" for one in operation["parameters"] if one["in"] == "path"}
    queries: dict[str, str] = {}
    headers: dict[str, str] = {}
    if parameter["in"] == "path":
        names[parameter["name"]] = value
    elif parameter["in"] == "query":
        queries[parameter["name"]] = value
    else:
        headers[parameter["name"]] = value.encode("ascii", "replace").decode().strip()
    spelled = path
    for name, held in names.items():
        spelled = spelled.replace(f"{{{name}}}", quote(held, safe=""))
    body = {"json": {}} if "requestBody" in operation else {}
    request = requests.Request(method.upper(), f"{url}{spelled}", params=queries, headers=headers, **body)
    # Streams of events have no end.
    return session.send(session.prepare_request(request), timeout=60, stream=True)


def badly_answered(answer: requests.Response, where: str) -> list[str]:
    if answer.headers["content-type"].startswith(EVENTS):
        answer.close()
        return []
    text = answer.text
    faults = []
    if answer.status_code >= 500:
        faults.append(f"{where}: {answer.status_code} {text[:300]}")
    if answer.status_code >= 400 and (
        answer.headers["content-type"] != "application/problem+json" or json.loads(text)["status"] != answer.status_code
    ):
        faults.append(f"{where}: no problem but {answer.headers['content-type']} {text[:300]}")
    faults += [f"{where}: told {word!r}" for word in ("root:x:", "Traceback", "site-packages") if word in text]
    return faults


def test_what_the_description_says_is_true(asked: Asked) -> None:
    # That each route asks for a key has a test of its own, with three requests less.
    assert ask_everything(asked, examples=1, left_out=["ignored_auth"]) == []


def test_no_parameter_can_be_made_to_fail_the_service_or_to_leave_the_lake(asked: Asked) -> None:
    assert ask_hostile(asked, FEW) == []


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_what_the_description_says_is_true_of_many_questions(asked: Asked) -> None:
    assert ask_everything(asked, examples=40) == []


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_no_parameter_can_be_made_to_fail_by_anything_known(asked: Asked) -> None:
    assert ask_hostile(asked, HOSTILE) == []


def test_every_operation_says_what_it_is_and_what_it_may_answer(asked: Asked) -> None:
    described = requests.get(f"{asked.url}/openapi.json", timeout=60).json()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["description"], where
            assert operation["tags"], where
            assert {"401", "422", "500"} <= set(operation["responses"]), where
            assert [one["name"] for one in operation.get("parameters", []) if not one.get("description")] == [], where
    assert described["components"]["schemas"]["Problem"]["properties"]["detail"]
    assert set(described["components"]["securitySchemes"]) == {"bearer", "header"}
