"""Whatever is wrong ends in one message with the thing, the rule and the next step; nothing is half written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import barlake
from barlake.testing import make_bars

SPAN = ("--start", "2024-01-02", "--end", "2024-01-05")

REFUSED: list[tuple[tuple[str, ...], int, tuple[str, ...]]] = [
    # arguments, exit code, what the message says: the thing, the rule, the next step
    (("bars", "SPX"), 1, ("'SPX' has no bars", "Did you mean 'SPY'?", "barlake symbols")),
    (("gaps", "ZZZ"), 1, ("'ZZZ' has no bars", "barlake ingest ZZZ")),
    (("coverage", "ZZZ"), 1, ("'ZZZ' has no bars", "barlake ingest ZZZ")),
    (("features", "ZZZ"), 1, ("'ZZZ' has no bars", "barlake ingest ZZZ")),
    (("train", "SPY,ZZZ"), 1, ("'ZZZ'", "barlake")),
    (("bars", "SPY", "--feed", "sip"), 1, ("'SPY' has no bars for feed 'sip'", "barlake ingest SPY")),
    (("bars", "a/b"), 1, ("'A/B' has no bars", "barlake symbols")),
    (("bars", "../SPY"), 1, ("'../SPY' is not a symbol", "use 1 to 32 of A-Z")),
    (("bars", ""), 1, ("symbol",)),
    (("bars", "SPY", "--start", "2024-02-01", "--end", "2024-01-01"), 1, ("start '2024-02-01'", "not before end")),
    (("bars", "SPY", "--start", "2024-01-02", "--end", "2024-01-02"), 1, ("start '2024-01-02'", "not before end")),
    (("ingest", "SPY", "--start", "2024-02-01", "--end", "2024-01-01"), 1, ("start '2024-02-01'", "not before end")),
    (("bars", "SPY", "--start", "2024-01-02T09:30"), 1, ("start '2024-01-02T09:30", "no time zone", "write 2024")),
    (("ingest", "SPY", "--start", "2024-01-02T09:30", "--end", "2024-01-05"), 1, ("no time zone",)),
    (("ingest", "SPY", "--start", "2024-01-02T09:30Z", "--end", "2024-01-05"), 1, ("start", "session")),
    (("bars", "SPY", "--start", "02.01.2024"), 1, ("start '02.01.2024' is not a date", "write a session")),
    (("ingest", "SPY", "--start", "1900-01-01", "--end", "1900-02-01"), 1, ("start 1900-01-01", "ask for less")),
    (("ingest", "SPY", "--start", "2024-01-01", "--end", "2999-01-01"), 1, ("end '2999-01-01'", "outside the years")),
    (("bars", "SPY", "--timeframe", "7Min"), 1, ("timeframe '7Min'", "use one of 1Min")),
    (("bars", "SPY", "--session", "night"), 1, ("session 'night'", "use one of regular")),
    (("bars", "SPY", "--limit", "0"), 2, ("--limit", "barlake bars -h")),
    (("export", "file", "--to", "bars.xls"), 1, ("bars.xls is not a .csv or .csv.gz or .parquet file",)),
    (("export", "file", "--to", "nowhere/bars.csv"), 1, ("nowhere/bars.csv", "does not exist", "make nowhere first")),
    (("export", "file", "SPX", "--to", "bars.csv"), 1, ("'SPX' has no bars", "Did you mean 'SPY'?")),
    (("export", "file", "SPY"), 2, ("--to", "barlake export file -h")),
    (("export", "postgres", "SPY"), 1, ("BARLAKE_EXPORT_POSTGRES_URL", "--url")),
    (("export", "postgres", "--url", "postgresql://me:x@h/d"), 1, ("--url carries a password", "PGPASSWORD")),
    (("export", "influx", "--to", "ftp://host/write"), 1, ("'ftp://host/write' is no write address",)),
    (("export", "influx", "--to", "http://u:x@host/write"), 1, ("carries a secret", "BARLAKE_INFLUX_TOKEN")),
    (("export", "influx", "--to", "-", "--json"), 1, ("--json", "leave one of them out")),
    (("sql", "selct 1"), 1, ("DuckDB refused the query", "selct")),
    (("sql", "select * from barz"), 1, ("barz", "Did you mean")),
    (("sql", "drop view bars"), 1, ("DuckDB refused the query",)),
    (("import", "nowhere.csv", "--feed", "sip"), 1, ("nowhere.csv does not exist", "name a file or a folder")),
    (("import", "."), 2, ("--feed", "barlake import -h")),
    (("import", ".", "--feed", "sip"), 1, ("holds no", ".parquet")),
    (("import", ".", "--feed", "S I P"), 1, ("feed 'S I P'", "use 1 to 32 of a-z")),
    (("simulate", "--symbol", "SPY"), 2, ("--model", "--signals")),
    (("simulate", "--symbol", "SPY", "--model", "ffff"), 1, ("model 'ffff' is not in the lake",)),
    (("simulate", "--symbol", "SPY", "--signals", "nowhere.csv"), 1, ("nowhere.csv",)),
    (("runs", "show", "ffff"), 1, ("run 'ffff' is not in the lake",)),
    (("emulate", "--fault", "hagn"), 1, ("fault 'hagn'", "use one of", "Did you mean 'hang'?")),
    (("emulate", "--bars", "nowhere"), 1, ("bars 'nowhere' is not a folder", "name one")),
    (("emulate", "--plan", "golden"), 1, ("plan 'golden' is not known", "basic, plus")),
    (("emulate", "--limiter", "sieve"), 1, ("limiter 'sieve' is not known", "window, bucket")),
    (("emulate", "--now", "2024-07-03"), 1, ("now '2024-07-03' is a date", "give an instant")),
    (("emulate", "--feed", "sip"), 1, ("feed 'sip' cannot be made up",)),
    (("nosuch",), 2, ("No such command 'nosuch'", "barlake -h")),
    (("bars", "--nosuch", "SPY"), 2, ("--nosuch",)),
]


@pytest.mark.parametrize(("arguments", "code", "said"), REFUSED, ids=[" ".join(one[0]) for one in REFUSED])
def test_bad_input_ends_in_one_message(
    cli: Any,
    example: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    said: tuple[str, ...],
) -> None:
    monkeypatch.setenv("BARLAKE_ROOT", str(example))
    monkeypatch.setenv("ALPACA_API_KEY_ID", "nobody")
    monkeypatch.setenv("ALPACA_API_SECRET_KEY", "nothing")
    before = files_below(example)
    done = cli(*arguments)
    assert done.code == code
    assert done.out == ""
    assert "Traceback" not in done.errors
    assert len([line for line in done.errors.splitlines() if line.lower().startswith("error: ")]) == 1
    for words in said:
        assert words in done.errors
    assert files_below(example) == before


def files_below(root: Path) -> set[str]:
    """Files but the database's own, which come and go."""
    return {str(path) for path in root.rglob("*") if path.parent.name not in {"manifest", "calendar", "duckdb"}}


# --- keys and addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"])
def test_a_missing_key_is_named_with_where_it_goes(
    cli: Any, alpaca: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", alpaca)
    monkeypatch.delenv(missing)
    done = cli("ingest", "SPY", *SPAN, "--root", tmp_path)
    assert (done.code, done.out) == (1, "")
    assert f"{missing} is not set" in done.errors
    assert ".env" in done.errors
    assert "barlake demo" in done.errors


def test_a_wrong_key_is_said_without_showing_it(
    cli: Any, alpaca: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", alpaca)
    monkeypatch.setenv("ALPACA_API_SECRET_KEY", "not-the-right-one")
    done = cli("ingest", "SPY", *SPAN, "--root", tmp_path)
    assert done.code == 1
    assert "refused the key" in done.errors
    assert "not-the-right-one" not in done.errors


def test_an_address_that_is_none_is_refused_by_its_name(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", "data.alpaca.markets")
    done = cli("symbols", "--root", tmp_path)
    assert done.code == 1
    assert "ALPACA_DATA_URL is 'data.alpaca.markets'" in done.errors


@pytest.mark.usefixtures("alpaca")
def test_a_feed_alpaca_does_not_have_is_refused(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_FEED", "nasdaq")
    done = cli("ingest", "SPY", *SPAN, "--root", tmp_path)
    assert done.code == 1
    assert "ALPACA_FEED is 'nasdaq'" in done.errors


def test_an_unknown_symbol_is_said_also_when_it_is_not_asked_for_again(
    cli: Any, alpaca: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_DATA_URL", alpaca)
    for _ in range(2):
        done = cli("ingest", "SPY", "SPYY", *SPAN, "--root", tmp_path)
        assert done.code == 1
        assert "no bars of SPYY for feed 'sip'" in done.errors
        assert "check the spelling" in done.errors
    assert [row["symbol"] for row in cli("symbols", "--root", tmp_path, "--json").data] == ["SPY"]


# --- files ------------------------------------------------------------------------------------------------

HEAD = "timestamp,open,high,low,close,volume"
GOOD = "2024-01-02T14:30:00Z,10,11,9,10,100"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a lake that nothing gets into."""
    return tmp_path_factory.mktemp("empty")


MALFORMED = {
    "no column": (f"{HEAD.replace(',close', '')}\n2024-01-02T14:30:00Z,10,11,9,100\n", ("close",)),
    "no zone": (f"{HEAD}\n2024-01-02 14:30:00,10,11,9,10,100\n", ("time zone", "--timezone")),
    "no bar at all": (f"{HEAD}\n2024-01-02T14:30:00Z,10,9,11,10,100\n", ("none of the 1 rows", "high is below low")),
    "empty": ("", ("bars.csv",)),
    "only a head": (f"{HEAD}\n", ("bars.csv",)),
    "not text": ("\x00\x01\x02", ("bars.csv",)),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_file_is_refused_whole(cli: Any, empty: Path, tmp_path: Path, kind: str) -> None:
    text, said = MALFORMED[kind]
    file = tmp_path / "bars.csv"
    file.write_text(text)
    done = cli("import", file, "--feed", "sip", "--symbol", "SPY", "--root", empty)
    assert (done.code, done.out) == (1, "")
    assert "Traceback" not in done.errors
    for words in said:
        assert words in done.errors
    assert cli("symbols", "--root", empty, "--json").data == []


def test_a_parquet_file_that_is_none_is_refused(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "SPY.parquet"
    file.write_bytes(b"PAR1 not really PAR1")
    done = cli("import", file, "--feed", "sip", "--root", tmp_path / "lake")
    assert done.code == 1
    assert "SPY.parquet" in done.errors


BAD_ROWS = {
    "high below low": "2024-01-02T14:31:00Z,10,9,11,10,100",
    "negative price": "2024-01-02T14:31:00Z,10,11,-9,10,100",
    "NaN": "2024-01-02T14:31:00Z,10,11,9,NaN,100",
    "text in a number": "2024-01-02T14:31:00Z,10,11,9,ten,100",
    "another bar for the same minute": "2024-01-02T14:30:00Z,10,11,9,10.5,100",
    "no instant": "yesterday,10,11,9,10,100",
    "a fraction of a share": "2024-01-02T14:31:00Z,10,11,9,10,100.5",
    "half a minute": "2024-01-02T14:31:30Z,10,11,9,10,100",
}


def test_bad_rows_of_a_good_file_go_to_quarantine_with_a_reason_and_are_counted(cli: Any, tmp_path: Path) -> None:
    file, root = tmp_path / "SPY.csv", tmp_path / "lake"
    file.write_text("\n".join([HEAD, GOOD, *BAD_ROWS.values(), ""]))
    total = cli("import", file, "--feed", "sip", "--root", root, "--json").data["total"]
    assert (total["inserted"], total["quarantined"]) == (1, len(BAD_ROWS))
    refused = cli("sql", "select * from quarantine order by row_number", "--root", root, "--json").data
    assert [row["row_number"] for row in refused] == list(range(1, len(BAD_ROWS) + 1))
    for row, kind in zip(refused, BAD_ROWS, strict=True):
        assert row["symbol"] == "SPY", kind
        assert row["reason"], kind
        assert BAD_ROWS[kind].split(",")[4] in row["raw"], kind


def test_the_same_bar_twice_is_one_bar_and_said(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "SPY.csv"
    file.write_text(f"{HEAD}\n{GOOD}\n{GOOD}\n")
    total = cli("import", file, "--feed", "sip", "--root", tmp_path / "lake", "--json").data["total"]
    assert (total["inserted"], total["duplicates"], total["quarantined"]) == (1, 1, 0)


def test_one_malformed_file_of_a_folder_does_not_keep_the_others_out(cli: Any, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "BAD.csv").write_text("a,b\n1,2\n")
    (folder / "SPY.csv").write_text(f"{HEAD}\n{GOOD}\n")
    done = cli("import", folder, "--feed", "sip", "--root", tmp_path / "lake", "--json")
    assert done.code == 1
    assert "BAD.csv" in done.errors
    assert [Path(one["file"]).name for one in done.data["failures"]] == ["BAD.csv"]
    assert [one["symbol"] for one in done.data["imported"]] == ["SPY"]


SIGNALS = {
    "no column": ("timestamp\n2024-01-02T14:30:00Z\n", "signal"),
    "no zone": ("timestamp,signal\n2024-01-02T14:30:00,1\n", "zone"),
    "text": ("timestamp,signal\n2024-01-02T14:30:00Z,buy\n", "signal"),
    "no bar": ("timestamp,signal\n1999-01-04T14:30:00Z,1\n", "bar"),
}


@pytest.mark.parametrize("kind", SIGNALS)
def test_a_malformed_file_of_signals_makes_no_run(cli: Any, example: Path, tmp_path: Path, kind: str) -> None:
    text, said = SIGNALS[kind]
    file = tmp_path / "signals.csv"
    file.write_text(text)
    before = cli("runs", "list", "--root", example, "--json").data
    done = cli("simulate", "--signals", file, "--symbol", "SPY", "--root", example)
    assert (done.code, done.out) == (1, "")
    assert said in done.errors
    assert cli("runs", "list", "--root", example, "--json").data == before


# --- the root ------------------------------------------------------------------------------------------------


def test_a_root_that_is_a_file_is_refused(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("mine")
    done = cli("symbols", "--root", tmp_path / "lake")
    assert done.code in {1, 2}
    assert "lake" in done.errors
    assert "Traceback" not in done.errors
    assert (tmp_path / "lake").read_text() == "mine"


def test_a_root_that_cannot_be_made_is_refused(cli: Any) -> None:
    done = cli("symbols", "--root", "/proc/nowhere/lake")
    assert done.code == 1
    assert "cannot be used" in done.errors
    assert "--root" in done.errors


def test_a_damaged_manifest_is_said_to_be_damaged(cli: Any, tmp_path: Path) -> None:
    with barlake.open(tmp_path) as lake:
        path = lake.manifest.place
    path.write_bytes(b"not a database " * 100)
    done = cli("symbols", "--root", tmp_path)
    assert done.code == 1
    assert "manifest database" in done.errors
    assert "`barlake rebuild`" in done.errors


def test_a_bar_file_that_is_gone_is_said_with_the_way_out(cli: Any, tmp_path: Path, sessions: list[Any]) -> None:
    with barlake.open(tmp_path) as lake:
        lake.write_bars(make_bars(sessions[:2]), feed="synthetic", symbol="SPY")
    for path in (tmp_path / "parquet").rglob("*.parquet"):
        path.unlink()
    done = cli("bars", "SPY", "--root", tmp_path)
    assert done.code == 1
    assert "the disk does not have it" in done.errors
    assert "`barlake repair`" in done.errors
