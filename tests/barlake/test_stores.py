"""A folder and a bucket keep the same promises."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from barlake.errors import BarlakeError, FormatError, InvalidInputError, StorageError
from barlake.partitions import collect, to_parquet
from barlake.settings import Settings
from barlake.stores import LocalStore, Store, folder_of, store_of
from barlake.testing import make_bars
from barlake.verify import bytes_of

DAY = dt.date(2024, 1, 2)
PATH = "parquet/bars/feed=sip/symbol=BTC%2FUSD/dt=2024-01-02/one.parquet"
MOMENT = dt.datetime(2024, 1, 3, tzinfo=dt.UTC)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "folder":
        yield LocalStore(tmp_path)
    else:
        root = request.getfixturevalue("s3_root")
        yield store_of(Settings(_env_file=None, BARLAKE_ROOT=root))


def bars(seed: int = 0) -> pl.DataFrame:
    return make_bars([DAY], seed=seed, minutes=20).with_columns(ingested_at=pl.lit(MOMENT).dt.cast_time_unit("us"))


def a_file(seed: int = 0) -> pa.Buffer:
    return to_parquet(bars(seed), metadata={"barlake.symbol": "BTC/USD"})


def test_what_is_put_can_be_read_listed_and_scanned(store: Store) -> None:
    assert list(store.files()) == []
    data = a_file()
    store.put(PATH, data)
    assert store.exists(PATH)
    assert store.read(PATH).equals(data)
    (listed,) = store.files()
    assert (listed.path, listed.bytes) == (PATH, data.size)
    assert abs(listed.modified_at - dt.datetime.now(tz=dt.UTC)) < dt.timedelta(minutes=5)
    rows = collect(store.scan([PATH], keys=("feed", "symbol", "dt")))
    assert rows.select("feed", "symbol", "dt").unique().rows() == [("sip", "BTC/USD", "2024-01-02")]
    assert rows.drop("feed", "symbol", "dt").equals(bars())
    assert store.leftovers() == []


def test_files_come_in_the_order_of_their_paths(store: Store) -> None:
    other = PATH.replace("01-02", "01-01")
    store.put(PATH, a_file(1))
    store.put(other, a_file(2))
    assert collect(store.scan([PATH, other])).equals(pl.concat([bars(1), bars(2)]))


def test_what_is_deleted_is_gone_once(store: Store) -> None:
    store.put(PATH, a_file())
    assert store.delete(PATH)
    assert not store.delete(PATH)
    assert not store.exists(PATH)
    assert list(store.files()) == []
    with pytest.raises(FileNotFoundError):
        store.read(PATH)


def test_a_missing_file_is_a_format_error_when_rows_are_wanted(store: Store) -> None:
    with pytest.raises(FormatError):
        collect(store.scan([PATH]))


def test_what_is_set_aside_stays_where_it_was_and_is_kept_apart(store: Store) -> None:
    assert store.set_aside(PATH) is None
    store.put(PATH, a_file())
    aside = store.set_aside(PATH)
    assert aside == f"damaged/{PATH}"
    assert store.set_aside(PATH) == aside, "the same bytes are kept once"
    assert store.read(aside).equals(store.read(PATH))
    store.delete(PATH)
    store.put(PATH, a_file(1))
    second = store.set_aside(PATH)
    assert second == f"damaged/{PATH.removesuffix('.parquet')}.2.parquet"
    assert [one.path for one in store.files()] == [PATH], "what is set aside is no bar file"


def test_a_file_that_may_not_be_read_is_no_damaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    store.put(PATH, a_file())

    def refuse(path: Path) -> bytes:  # whoever runs this as root may read everything
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StorageError, match=r"one\.parquet may not be read: Permission denied\. Mend"):
        bytes_of(store, PATH)


def test_a_bucket_that_is_not_there_is_named(s3_root: str) -> None:
    with pytest.raises(StorageError, match="there is no bucket 'nowhere-to-be-found'"):
        store_of(Settings(_env_file=None, BARLAKE_ROOT="s3://nowhere-to-be-found/lake"))
    assert s3_root


@pytest.mark.parametrize("root", ["s3://", "s3:///lake", "s3://bucket/a?b", "s3://bucket/feed=sip", "here/dt=1"])
def test_a_root_that_cannot_hold_a_lake_is_refused(root: str) -> None:
    settings = Settings(_env_file=None, BARLAKE_ROOT=root)
    with pytest.raises(InvalidInputError, match=r"s3://bucket|choose another"):
        store_of(settings)


def test_a_service_that_does_not_answer_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "your-key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "open-sesame")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(BarlakeError, match="cannot be opened") as refusal:
        store_of(Settings(_env_file=None, BARLAKE_ROOT="s3://bucket/lake"))
    assert "open-sesame" not in str(refusal.value)


def test_what_is_local_of_a_lake_on_s3_has_a_folder_of_its_own(tmp_path: Path) -> None:
    far = Settings(_env_file=None, BARLAKE_ROOT="s3://bucket/lake")
    assert folder_of(far) == Path("data/s3/bucket/lake").absolute()
    near = Settings(_env_file=None, BARLAKE_ROOT="s3://bucket/lake", BARLAKE_LOCAL_ROOT=str(tmp_path))
    assert folder_of(near) == tmp_path
