from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import BarlakeError, InvalidInputError, NotFoundError
from barlake.settings import Settings
from ingest_service.securities_file import EXAMPLE, read_ready_made, ready_made_lists
from ingest_service.watch_list import Security, WatchList, find_watch_list, load_watch_list

Load = Callable[[str], WatchList]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """A function that reads a text as the watch list `securities.yaml`."""

    def read(text: str) -> WatchList:
        path = tmp_path / "securities.yaml"
        path.write_text(text, encoding="utf-8")
        return load_watch_list(path)

    return read


def test_an_entry_is_a_symbol_or_says_more(load: Load) -> None:
    found = load("""
start: 2024-01-02
securities:
  etfs:
    - spy
    - symbol: QQQ
      enabled: false
      start: 2020-03-02
  indices:
    - symbol: SPX
      names: {yahoo: ^GSPC}
""")
    assert found.securities == (
        Security("SPY", "etfs", start=dt.date(2024, 1, 2), line=5),
        Security("QQQ", "etfs", enabled=False, start=dt.date(2020, 3, 2), line=6),
        Security("SPX", "indices", names={"yahoo": "^GSPC"}, start=dt.date(2024, 1, 2), line=10),
    )
    assert found.features == ("core",)
    assert found.categories == ("etfs", "indices")


def test_what_yaml_takes_for_truth_and_numbers_are_symbols(load: Load) -> None:
    found = load("securities: {stocks: [ON, NO, Y, 1e5, 0700, TRUE, NULL, 2024-01-02, 12:30]}".replace(", 12:30", ""))
    assert [one.symbol for one in found.securities] == ["ON", "NO", "Y", "1E5", "0700", "TRUE", "NULL", "2024-01-02"]


FAULTS = [
    ("", 1, "the file is empty"),
    ("# nothing\n", 1, "the file is empty"),
    ("- SPY\n", 1, "a list stands where the keys"),
    ("securities: {}\n", 1, "no security is listed"),
    ("start: 2024-01-02\nsecurity: {etfs: [SPY]}\n", 2, "Did you mean 'securities'?"),
    ("securities:\n  etf: [SPY]\n", 2, "Did you mean 'etfs'?"),
    ("securities:\n  Etfs: [SPY]\n", 2, "Did you mean 'etfs'?"),
    ("securities:\n  etfs: [SPY]\n  etfs: [QQQ]\n", 3, "stands twice"),
    ("securities:\n  etfs: SPY\n", 2, "give a list"),
    ("securities:\n  etfs:\n    - SPY\n    - QQQ\n    - spy\n", 5, "'SPY' stands on line 3 already"),
    ("securities:\n  etfs:\n    - enabled: true\n", 3, "an entry without `symbol`"),
    ("securities:\n  etfs:\n    - symbol: SPY\n      enable: true\n", 4, "Did you mean 'enabled'?"),
    ("securities:\n  etfs:\n    - symbol: SPY\n      enabled: 2\n", 4, "give true or false"),
    ("securities:\n  etfs:\n    - symbol: SPY\n      start: 2024-02-30\n", 4, "'2024-02-30' is not a date"),
    ("securities:\n  etfs:\n    - symbol: SPY\n      start: 1890-02-03\n", 4, "earlier than 1990"),
    ("securities:\n  etfs:\n    - symbol: SPY\n      symbol: QQQ\n", 4, "line 3 already"),
    ("securities:\n  etfs:\n    - symbol: [SPY]\n", 3, "symbol is a list"),
    ("securities:\n  etfs:\n    - symbol:\n", 3, "symbol is nothing"),
    ("securities:\n  etfs:\n    - [SPY, QQQ]\n", 3, "a list stands where"),
    ("securities:\n  etfs:\n    - a b\n", 3, "'a b' is not a symbol"),
    ("securities:\n  etfs:\n    - symbol: SPX\n      names: ^GSPC\n", 4, "'^GSPC' stands where sources"),
    ("securities:\n  etfs:\n    - symbol: SPX\n      names: {Yahoo!: x}\n", 4, "source 'Yahoo!' is not a name"),
    ("securities:\n  crypto: [BTCUSD]\n", 2, "a pair such as BTC/USD"),
    ("securities:\n  stocks: [BTC/USD]\n", 2, "no pair"),
    ("securities:\n\tetfs: [SPY]\n", 2, "a tab"),
    ("securities:\n  etfs: &all [SPY]\n", 2, "an anchor"),
    ("securities:\n  etfs: &all [SPY]\n  stocks: *all\n", 2, "an anchor"),
    ("securities:\n  etfs: [!!python/name:os.system SPY]\n", 2, "a tag"),
    ("securities:\n  etfs: [@SPY]\n", 2, "in quotes"),
    ("securities: {etfs: [SPY]}\n---\nsecurities: {etfs: [QQQ]}\n", 2, "a second document"),
    ("securities: {etfs: [SPY}\n", 1, "not YAML"),
    ("include: [dow-31]\n", 1, "Did you mean 'dow-30'?"),
    ("securities: {etfs: ['\x07']}\n", 1, "a control character"),
]


@pytest.mark.parametrize(("text", "line", "said"), FAULTS)
def test_a_fault_is_told_with_file_and_line(load: Load, tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load(text)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{tmp_path / 'securities.yaml'}:{line}: ")
    assert said in first


def test_all_faults_are_told_at_once(load: Load) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load("start: soon\nsecurities:\n  etfs: [SPY, SPY]\n  crypto: [BTC]\n")
    assert len(str(caught.value).splitlines()) == 3


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "securities.yaml"
    path.write_bytes(b"securities:\n  etfs: [\xff]\n")
    with pytest.raises(InvalidInputError, match=r"securities\.yaml:2: byte 21 is not UTF-8"):
        load_watch_list(path)
    path.write_bytes(b"[" * 900_000)
    with pytest.raises(InvalidInputError, match="too deep"):
        load_watch_list(path)
    path.write_bytes(b" " * 1_000_001)
    with pytest.raises(InvalidInputError, match="1,000,001 bytes"):
        load_watch_list(path)
    with pytest.raises(NotFoundError, match="securities init"):
        load_watch_list(tmp_path / "none.yaml")


@given(st.text(alphabet=st.sampled_from("securities: etfs[]{}-\n\t#&*!'\"SPY|>%@,0e"), max_size=80))
def test_any_text_is_a_watch_list_or_one_of_our_errors(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    with contextlib.suppress(BarlakeError):
        assert load_watch_list(path).securities


def test_the_example_is_a_watch_list_of_three(load: Load) -> None:
    found = load(EXAMPLE.format(start=dt.date(2024, 1, 2)))
    assert [one.symbol for one in found.securities] == ["SPY", "QQQ", "AAPL"]
    assert all(one.enabled and one.start == dt.date(2024, 1, 2) for one in found.securities)


def test_a_list_that_comes_along_tells_its_date_and_own_entries_go_before_its(load: Load) -> None:
    found = load("include: [dow-30]\nsecurities:\n  stocks:\n    - {symbol: MMM, enabled: false}\n")
    assert len(found.securities) == 30
    mmm, kept = found.get("MMM"), found.get("AAPL")
    assert mmm is not None
    assert kept is not None
    assert (mmm.enabled, mmm.included) == (False, None)
    assert (kept.included, kept.line) == ("dow-30", 1)
    assert len(found.warnings) == 1
    assert "has the members of 2024-11-08: memberships change" in found.warnings[0]


@pytest.mark.parametrize(("name", "members"), [("dow-30", 30), ("nasdaq-100", 101), ("us-indices", 5)])
def test_a_ready_made_list_has_the_members_its_name_promises(name: str, members: int) -> None:
    assert len(read_ready_made(name).securities) == members


def test_every_ready_made_list_can_be_read() -> None:
    for name in ready_made_lists():
        assert dt.date.fromisoformat(read_ready_made(name).as_of) < dt.date(2026, 12, 31)


def test_a_fund_that_stands_for_an_index_is_visible(load: Load) -> None:
    found = load("securities:\n  indices:\n    - {symbol: SPX, names: {yahoo: ^GSPC, alpaca: SPY}}\n    - VIX\n")
    spx, vix = found.securities
    assert spx.name_at("alpaca") == "SPY"
    assert spx.provenance("alpaca") == "alpaca-spy"
    assert "SPX is stored from Alpaca's SPY, which is not the index" in found.warnings[0]
    assert vix.name_at("alpaca") is None


def test_a_source_that_is_not_there_is_pointed_out(load: Load) -> None:
    found = load("securities:\n  stocks:\n    - {symbol: BRK.B, names: {yaho: BRK-B, massive: BRK.B}}\n")
    assert len(found.warnings) == 1
    assert ":3: source 'yaho' is not here, so its names are not used. Did you mean 'yahoo'?" in found.warnings[0]


def test_a_mere_spelling_is_no_other_instrument() -> None:
    brk = Security("BRK.B", names={"yahoo": "BRK-B"})
    assert (brk.name_at("yahoo"), brk.provenance("yahoo"), brk.provenance("alpaca")) == ("BRK-B", "yahoo", "alpaca")


def test_securities_are_selected_by_category_and_symbol(load: Load) -> None:
    found = load("securities:\n  etfs: [SPY, QQQ]\n  stocks: [AAPL, {symbol: MSFT, enabled: false}]\n")

    def chosen(**options: list[str]) -> list[str]:
        return [one.symbol for one in found.select(**options)]

    assert chosen() == ["SPY", "QQQ", "AAPL"]
    assert chosen(categories=["etfs"], skip=["spy"]) == ["QQQ"]
    assert chosen(only=["AAPL", "SPY"]) == ["SPY", "AAPL"]
    with pytest.raises(NotFoundError, match="Did you mean 'etfs'"):
        chosen(categories=["etf"])
    with pytest.raises(NotFoundError, match="Did you mean 'AAPL'"):
        chosen(skip=["APPL"])
    with pytest.raises(InvalidInputError, match=r"MSFT is switched off at .*:3"):
        chosen(only=["MSFT"])
    with pytest.raises(InvalidInputError, match="nothing is selected of the 4"):
        chosen(categories=["stocks"], skip=["AAPL"])


def test_the_file_is_looked_for_where_the_settings_say_then_here_then_in_the_lake(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="securities init"):
        find_watch_list(Settings(), tmp_path)
    (tmp_path / "securities.yaml").touch()
    assert find_watch_list(Settings(), tmp_path) == tmp_path / "securities.yaml"
    Path("securities.yaml").touch()
    assert find_watch_list(Settings(), tmp_path) == Path("securities.yaml")
    named = Settings.model_validate({"BARLAKE_SECURITIES": tmp_path / "mine.yaml"})
    with pytest.raises(NotFoundError, match="BARLAKE_SECURITIES names"):
        find_watch_list(named, tmp_path)
    (tmp_path / "mine.yaml").touch()
    assert find_watch_list(named, tmp_path) == tmp_path / "mine.yaml"
