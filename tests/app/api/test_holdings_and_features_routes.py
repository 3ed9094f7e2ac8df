"""Lists of what the lake holds, and rows of feature tables, over HTTP: whole, by pages, in every form, and 304."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from app.api.cursors import read_cursor
from app.api.main import create_app
from barlake.errors import InvalidInputError
from barlake.keys import FeatureSetKey
from barlake.lake import Lake, open_lake
from barlake.sessions import Calendar
from barlake.settings import load_settings
from barlake.testing import make_bars

ARROW = {"Accept": "application/vnd.apache.arrow.stream"}
DAYS = Calendar.default().in_range(dt.date(2024, 1, 2), dt.date(2024, 2, 1))["session"].to_list()
KEY = FeatureSetKey("core", "0123456789abcdef")
SYMBOLS = ("AAA", "BBB", "BTC/USD", "CCC")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    with open_lake(tmp_path_factory.mktemp("holdings") / "lake") as made:
        for seed, symbol in enumerate(SYMBOLS):
            bars = make_bars(DAYS[: len(DAYS) - seed], seed=seed, minutes=20)
            made.writer.write(bars, feed="synthetic", symbol=symbol, source="test")
        build(made, rows(40_000))
        yield made


@pytest.fixture(scope="module")
def client(lake: Lake) -> Iterator[TestClient]:
    with served(lake.root) as made:
        yield made


def served(root: Path) -> TestClient:
    app = create_app(load_settings(root))
    return TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000), raise_server_exceptions=False)


def rows(count: int) -> pl.DataFrame:
    """Rows that reach over the end of a year, each a minute after the one before."""
    first = dt.datetime(2023, 12, 20, tzinfo=dt.UTC)
    stamps = pl.datetime_range(first, first + dt.timedelta(minutes=count - 1), "1m", time_unit="us", eager=True)
    frame = pl.DataFrame(
        {"timestamp": stamps, "slow": pl.Series(range(count)).cast(pl.Float64) / 7, "count": range(count)}
    )
    return frame.select(pl.col("timestamp").dt.date().alias("session"), pl.all())


def build(lake: Lake, frame: pl.DataFrame, symbol: str = "AAA") -> None:
    definition = {"feed": "synthetic", "features": ["slow", "count"]}
    lake.feature_tables.write(KEY, symbol, frame, inputs={"rows": frame.height}, definition=definition)


def arrow(content: bytes) -> pl.DataFrame:
    found = pl.from_arrow(pa.ipc.open_stream(content).read_all())
    assert isinstance(found, pl.DataFrame)
    return found


def pages(client: TestClient, url: str) -> list[pl.DataFrame]:
    found: list[pl.DataFrame] = []
    while True:
        response = client.get(url, headers=ARROW)
        assert response.status_code == 200, response.text
        found.append(arrow(response.content))
        if "next" not in response.links:
            return found
        url = response.links["next"]["url"]


def test_symbols_are_those_of_the_lake(client: TestClient, lake: Lake) -> None:
    found = client.get("/symbols").json()
    assert [item["symbol"] for item in found["items"]] == list(SYMBOLS)
    assert found["items"][0] == {
        "feed": "synthetic", "symbol": "AAA", "sessions": len(DAYS), "bars": 20 * len(DAYS),
        "first": DAYS[0].isoformat(), "last": DAYS[-1].isoformat(), "calendar": "XNYS",
    }  # fmt: skip
    assert arrow(client.get("/symbols", headers=ARROW).content).equals(lake.symbols())
    assert client.get("/symbols?feed=sip").json()["items"] == []
    assert client.get("/symbols?as_of=2020-01-01T00:00:00Z").json()["items"] == []


def test_coverage_tells_who_is_behind(client: TestClient) -> None:
    items = client.get("/coverage").json()["items"]
    assert [(item["symbol"], item["behind"]) for item in items] == [(name, n) for n, name in enumerate(SYMBOLS)]
    assert all(0 < item["share"] < 1 for item in items)


@pytest.mark.parametrize("symbol", ["AAA", "BTC/USD", "btc%2Fusd"])
def test_coverage_of_a_symbol_is_that_of_the_lake(client: TestClient, lake: Lake, symbol: str) -> None:
    asked = {"start": "2024-01-08", "end": "2024-01-20"}
    expected = lake.coverage(symbol.replace("%2F", "/"), **asked)
    assert expected.height > 5
    assert arrow(client.get(f"/coverage/{symbol}", params=asked, headers=ARROW).content).equals(expected)


@pytest.mark.parametrize("url", ["/symbols?limit=1", "/symbols?limit=3", "/coverage?limit=2", "/coverage/AAA?limit=4"])
def test_pages_of_a_list_are_all_of_it_once(client: TestClient, url: str) -> None:
    whole = arrow(client.get(url.split("?", maxsplit=1)[0], headers=ARROW).content)
    found = pages(client, url)
    assert len(found) > 1
    keys = [name for name in ("feed", "symbol", "session") if name in whole.columns]
    assert pl.concat(found).equals(whole.sort(keys))


def test_a_list_that_did_not_change_is_not_sent_again(client: TestClient, lake: Lake) -> None:
    tags = {url: client.get(url).headers["etag"] for url in ("/symbols", "/coverage", "/coverage/CCC")}
    assert all(client.get(url, headers={"If-None-Match": tag}).status_code == 304 for url, tag in tags.items())
    lake.writer.write(make_bars(DAYS, seed=9, minutes=2), feed="synthetic", symbol="DDD", source="test")
    found = {url: client.get(url, headers={"If-None-Match": tag}).status_code for url, tag in tags.items()}
    assert found == {"/symbols": 200, "/coverage": 200, "/coverage/CCC": 304}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"start": "2023-12-30", "end": "2024-01-02"},
        {"start": "2024-01-05T10:00:00Z", "end": "2024-01-05T10:03:00Z", "column": ["slow"]},
        {"start": "2030-01-01", "set": "core", "version": KEY.version},
    ],
)
def test_features_are_the_rows_of_the_table(client: TestClient, lake: Lake, asked: dict[str, Any]) -> None:
    expected = lake.feature_tables.read(
        KEY, "AAA", columns=asked.get("column"), start=asked.get("start"), end=asked.get("end")
    )
    response = client.get("/features/AAA", params=asked, headers=ARROW)
    assert arrow(response.content).equals(expected)
    assert response.headers["x-barlake-feed"] == "synthetic"
    document = client.get("/features/AAA", params=asked).json()
    assert (document["set"], document["version"], document["feed"]) == ("core", KEY.version, "synthetic")
    assert [row["slow"] for row in document["items"]] == expected["slow"].to_list()


def test_pages_of_features_are_all_of_them_newest_first(client: TestClient, lake: Lake) -> None:
    expected = lake.feature_tables.read(KEY, "AAA", columns=["slow"], start="2023-12-25")
    found = pages(client, "/features/AAA?start=2023-12-25&column=slow&limit=7000")
    assert pl.concat(found[::-1]).equals(expected)
    assert arrow(client.get("/features/AAA?limit=5", headers=ARROW).content)["count"].to_list() == [
        *range(39_995, 40_000)
    ]


def test_a_table_that_is_built_again_moves_its_tag_and_ends_its_pages(lake: Lake, client: TestClient) -> None:
    build(lake, rows(300), "BBB")
    first = client.get("/features/BBB?limit=100")
    url, tag = first.links["next"]["url"], first.headers["etag"]
    assert client.get("/features/BBB?limit=100", headers={"If-None-Match": tag}).status_code == 304
    assert client.get(url).status_code == 200
    build(lake, rows(400), "BBB")
    assert client.get("/features/BBB?limit=100", headers={"If-None-Match": tag}).status_code == 200
    conflict = client.get(url)
    assert (conflict.status_code, "built again" in conflict.json()["detail"]) == (409, True)


def test_feature_sets_say_what_was_built(client: TestClient) -> None:
    items = client.get("/feature-sets?name=core").json()["items"]
    assert {"name": "core", "version": KEY.version, "symbol": "AAA", "rows": 40_000, "features": 2}.items() <= items[
        0
    ].items()
    assert client.get("/feature-sets?name=other").json()["items"] == []
    assert client.get(f"/feature-sets/core/{KEY.version}").json()["features"] == ["slow", "count"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/coverage/AAB", 404, "Did you mean 'AAA'?"),
        ("/coverage/AAA?start=now", 400, "start 'now' is not a date"),
        ("/symbols?limit=0", 422, "query.limit"),
        ("/symbols?cursor=%F0%9F%98%80", 400, "cursor"),
        ("/symbols?feed=../..", 400, "feed"),
        ("/features/ZZZ", 404, "barlake features ZZZ"),
        ("/features/AAA?set=nothing", 404, "nothing"),
        ("/features/AAA?set=../core", 404, "'../core'"),
        ("/features/AAA?set=../core&version=0123456789abcdef", 400, "cannot be a folder"),
        ("/features/AAA?version=..%2F..", 400, "cannot be a folder"),
        ("/features/AAA?version=00000000", 404, "00000000"),
        ("/features/AAA?column=slo", 400, "Did you mean 'slow'?"),
        ("/features/AAA?cursor=x", 400, "without limit"),
        ("/features/AAA?limit=5&cursor=e30", 400, "is of another question"),
        ("/feature-sets/..%2Fcore/0123456789abcdef", 404, ""),
        ("/feature-sets/core/zzz", 400, "cannot be a folder"),
    ],
)
def test_what_cannot_be_answered_is_told_as_a_problem(client: TestClient, path: str, status: int, said: str) -> None:
    found = client.get(path)
    assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json")
    assert said in found.json()["detail"]


@pytest.mark.parametrize("content", ["[" * 20_000, '{"a":' * 5_000])
def test_a_cursor_of_endless_brackets_is_refused(client: TestClient, content: str) -> None:
    cursor = base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")
    assert client.get("/symbols", params={"cursor": cursor}).status_code in {400, 422}
    with pytest.raises(InvalidInputError, match="is none that an answer gave"):
        read_cursor(cursor, {})


def test_a_symbol_is_named_in_the_answer_as_it_is_stored(client: TestClient) -> None:
    found = client.get("/coverage/aaa%20")
    assert (found.json()["symbol"], found.headers["x-barlake-symbol"]) == ("AAA", "AAA")


def test_a_cursor_of_another_list_is_refused(client: TestClient) -> None:
    cursor = client.get("/symbols?limit=1").json()["next_cursor"]
    for url in ("/coverage?limit=1", "/symbols?feed=synthetic", "/coverage/AAA?limit=1"):
        assert client.get(f"{url}&cursor={cursor}").status_code == 400
