"""Bars over HTTP: the lake's own answer in every form, page by page of one state, and 304 while nothing changes."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from app.api.main import create_app
from barlake.lake import Lake, open_lake
from barlake.sessions import Calendar
from barlake.settings import load_settings
from barlake.testing import make_bars

ARROW = {"Accept": "application/vnd.apache.arrow.stream"}
DAYS = Calendar.default().in_range(dt.date(2024, 1, 2), dt.date(2024, 3, 1))["session"].to_list()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake for all tests that only read."""
    folder = tmp_path_factory.mktemp("bars") / "lake"
    with open_lake(folder) as lake:
        fill(lake)
    return folder


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[TestClient]:
    with served(root) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Lake, TestClient]]:
    """A lake to write to, and a service over it."""
    with open_lake(tmp_path / "lake") as lake, served(tmp_path / "lake") as made:
        fill(lake)
        yield lake, made


def served(root: Path) -> TestClient:
    return TestClient(
        create_app(load_settings(root)),
        base_url="http://127.0.0.1",
        client=("127.0.0.1", 50_000),
        raise_server_exceptions=False,
    )


def fill(lake: Lake) -> None:
    for seed, symbol in enumerate(("AAA", "BTC/USD")):
        bars = make_bars(DAYS, seed=seed, minutes=40, keep=0.9)
        lake.writer.write(bars, feed="synthetic", symbol=symbol, source="test")


def correct(lake: Lake, session: dt.date, *, symbol: str = "AAA", by: float = 0.01) -> None:
    rows = lake.bars(symbol, session, session + dt.timedelta(days=1)).with_columns(pl.col("high") + by)
    names = ["timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap"]
    lake.writer.write(rows.select(names), feed="synthetic", symbol=symbol, source="test")


def arrow(content: bytes) -> pl.DataFrame:
    found = pl.from_arrow(pa.ipc.open_stream(content).read_all())
    assert isinstance(found, pl.DataFrame)
    return found


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"start": "2024-01-10", "end": "2024-01-20"},
        {"start": "2024-01-10T14:45:00Z", "end": "2024-01-12T15:00:00+00:00", "timeframe": "5Min"},
        {"timeframe": "1Day", "session": "regular", "feed": "synthetic"},
        {"adjustment": "all", "session": "regular", "as_of": "2100-01-01T00:00:00Z"},
        {"start": "2020-01-01", "end": "2020-02-01"},
    ],
)
@pytest.mark.parametrize("symbol", ["AAA", "BTC/USD", "btc%2Fusd"])
def test_an_answer_holds_the_bars_of_the_lake_in_every_form(
    client: TestClient, root: Path, symbol: str, asked: dict[str, Any]
) -> None:
    with open_lake(root) as lake:
        expected = lake.bars(symbol.replace("%2F", "/"), **asked)
    assert arrow(client.get(f"/bars/{symbol}", params=asked, headers=ARROW).content).equals(expected)
    parquet = client.get(f"/bars/{symbol}", params=asked, headers={"Accept": "application/vnd.apache.parquet"})
    assert pl.read_parquet(io.BytesIO(parquet.content)).equals(expected)
    csv = client.get(f"/bars/{symbol}", params=asked, headers={"Accept": "text/csv"}).text.splitlines()
    assert (csv[0].split(","), len(csv)) == (expected.columns, expected.height + 1)
    document = client.get(f"/bars/{symbol}", params=asked).json()
    assert [row["close"] for row in document["items"]] == expected["close"].to_list()
    assert [dt.datetime.fromisoformat(row["timestamp"]) for row in document["items"]] == expected["timestamp"].to_list()
    assert (document["feed"], document["symbol"]) == ("synthetic", symbol.upper().replace("%2F", "/"))


def test_limit_gives_the_newest_bars(client: TestClient, root: Path) -> None:
    with open_lake(root) as lake:
        newest = lake.latest("AAA", 5)
    found = client.get("/bars/AAA?limit=5", headers=ARROW)
    assert arrow(found.content).equals(newest)
    assert found.headers["x-barlake-feed"] == "synthetic"


@pytest.mark.parametrize(
    ("limit", "asked"),
    [
        (1_000, {}),
        (700, {"start": "2024-01-10", "end": "2024-02-20"}),
        (13, {"timeframe": "15Min"}),
        (7, {"timeframe": "1Day", "adjustment": "all"}),
        (100_000, {}),
        (5, {"session": "pre"}),
    ],
)
def test_pages_are_all_of_it_once_newest_first(
    client: TestClient, root: Path, limit: int, asked: dict[str, Any]
) -> None:
    with open_lake(root) as lake:
        whole = lake.bars("AAA", **asked)
    pages: list[pl.DataFrame] = []
    params = {**asked, "limit": limit}
    while True:
        found = client.get("/bars/AAA", params=params, headers=ARROW)
        pages.insert(0, arrow(found.content))
        if "next" not in found.links:
            break
        params = {**params, "cursor": client.get("/bars/AAA", params=params).json()["next_cursor"]}
        assert params["cursor"] in found.links["next"]["url"]
    assert pl.concat(pages).equals(whole)
    assert all(page.height == limit for page in pages[1:])


def test_pages_of_one_question_are_of_one_state_whatever_is_written_between_them(
    own: tuple[Lake, TestClient],
) -> None:
    lake, client = own
    before = lake.bars("AAA")
    pages: list[pl.DataFrame] = []
    url = "/bars/AAA?limit=300"
    for number in range(100):
        found = client.get(url, headers=ARROW)
        pages.insert(0, arrow(found.content))
        if "next" not in found.links:
            break
        url = found.links["next"]["url"]
        correct(lake, DAYS[number], by=0.01 * (number + 1))
        if number == 2:
            lake.rollup()
    assert number > 3
    assert pl.concat(pages).equals(before)
    assert not lake.bars("AAA").equals(before)


@pytest.mark.parametrize("path", ["/bars/AAA?start=2024-01-10&end=2024-01-12", "/bars/AAA?limit=50", "/bars/AAA"])
def test_a_tag_stays_while_the_bars_do_and_moves_with_them(own: tuple[Lake, TestClient], path: str) -> None:
    lake, client = own

    def again() -> int:
        return int(client.get(path, headers={"If-None-Match": tag}).status_code)

    tag = client.get(path).headers["etag"]
    assert again() == 304
    correct(lake, DAYS[-1], symbol="BTC/USD")
    lake.rollup()
    assert again() == 304, "another symbol changed, and files were rolled up"
    assert client.get(path, headers={"If-None-Match": tag} | ARROW).status_code == 200, "another form"
    assert (
        client.get(f"{path}{'&' if '?' in path else '?'}timeframe=5Min", headers={"If-None-Match": tag}).status_code
        == 200
    )
    session = dt.date(2024, 1, 11) if "start" in path else DAYS[-1]
    correct(lake, session)
    assert again() == 200
    correct(lake, session, by=-0.01)
    assert again() == 200, "the values of before, since another instant"


def test_a_split_moves_the_tag_of_adjusted_bars_alone(own: tuple[Lake, TestClient], tmp_path: Path) -> None:
    lake, client = own
    raw, adjusted = "/bars/AAA?limit=50", "/bars/AAA?limit=50&adjustment=split"
    tags = {path: client.get(path).headers["etag"] for path in (raw, adjusted)}
    (tmp_path / "actions.csv").write_text(f"symbol,ex_date,kind,ratio,cash_usd\nAAA,{DAYS[-1]},split,2,\n")
    lake.import_actions(tmp_path / "actions.csv", source="me")
    found = {path: client.get(path, headers={"If-None-Match": tag}).status_code for path, tag in tags.items()}
    assert found == {raw: 304, adjusted: 200}


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/bars/AAB", 404, "Did you mean 'AAA'?"),
        ("/bars/AAA?feed=sip", 404, "'sip'"),
        ("/bars/AAA?start=yesterday", 400, "start 'yesterday' is not a date"),
        ("/bars/AAA?start=2024-02-30", 400, "2024-02-30"),
        ("/bars/AAA?start=2024-01-02T10:00:00", 400, "no time zone"),
        ("/bars/AAA?start=2024-02-01&end=2024-01-01", 400, "is not before end"),
        ("/bars/AAA?as_of=2024-01-01", 400, "give an instant"),
        ("/bars/AAA?timeframe=2Min", 422, "query.timeframe"),
        ("/bars/AAA?limit=0", 422, "query.limit"),
        ("/bars/AAA?limit=99999999999999999999", 422, "query.limit"),
        ("/bars/AAA?cursor=abc", 400, "without limit"),
        ("/bars/AAA?limit=5&cursor=abc", 400, "cursor 'abc'"),
        ("/bars/AAA?limit=5&cursor=%ff%01", 400, "cursor"),
        ("/bars/AAA?limit=5&cursor=W10", 400, "is none that an answer gave"),
        ("/bars/..%2f..%2fetc%2fpasswd", 400, "symbol"),
        ("/bars/", 400, "symbol"),
        ("/bars/AAA%00", 400, "NUL"),
        ("/bars/AAA?feed=../x", 400, "feed"),
    ],
)
def test_what_cannot_be_answered_is_told_as_a_problem(client: TestClient, path: str, status: int, said: str) -> None:
    found = client.get(path)
    assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json")
    assert said in found.json()["detail"]


def test_a_cursor_of_another_question_is_refused(client: TestClient) -> None:
    cursor = client.get("/bars/AAA?limit=5").json()["next_cursor"]
    found = client.get("/bars/AAA", params={"limit": 5, "timeframe": "5Min", "cursor": cursor})
    assert (found.status_code, "is of another question" in found.json()["detail"]) == (400, True)
    assert client.get("/bars/AAA", params={"limit": 9, "cursor": cursor}).status_code == 200


def test_a_damaged_file_is_a_problem_and_not_half_an_answer(own: tuple[Lake, TestClient]) -> None:
    lake, client = own
    path = lake.root / lake.manifest.files(symbol="AAA")[0].path
    path.chmod(0o644)
    path.write_bytes(b"not Parquet")
    found = client.get("/bars/AAA")
    assert found.status_code == 500
    assert "barlake verify" in found.json()["detail"]
