"""Bar files in a bucket of an S3-compatible service: the only module that speaks S3.

An object appears whole or not at all, so a writer needs no temporary name. Files are built in memory and
sent in one piece: an upload that dies leaves no object. Credentials come from the settings, or where none
are set from wherever the AWS tools look for them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import polars as pl
import pyarrow as pa
from pyarrow import fs

from barlake import layout
from barlake.errors import InvalidInputError, StorageError
from barlake.settings import Settings
from barlake.stores import StoredFile, scan_parquet

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["S3Store"]


class S3Store:
    """Files below a prefix of a bucket.

    Parameters
    ----------
    location
        Bucket and prefix, `bucket/lake`.
    filesystem
        Arrow's client.
    options
        The same for polars' own reader.
    """

    def __init__(self, location: PurePosixPath, filesystem: fs.S3FileSystem, options: dict[str, str]) -> None:
        self._location = location
        self._files = filesystem
        self._options = options

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The store that `BARLAKE_ROOT=s3://bucket/prefix` names.

        Raises
        ------
        InvalidInputError
            If the address has no bucket, or what the extra `s3` installs is missing.
        StorageError
            If the bucket is not there, or the service refuses.
        """
        url = urlsplit(settings.root)
        if not url.netloc or url.query or url.fragment:
            raise InvalidInputError(f"{settings.root!r} is no place of a lake: use s3://bucket or s3://bucket/prefix.")
        if find_spec("fsspec") is None:
            raise InvalidInputError("a lake on S3 needs fsspec: pip install 'barlake[s3]'.")
        location = PurePosixPath(url.netloc, url.path.strip("/"))
        store = cls(location, _client(settings), _polars_options(settings))
        with store._refusals("cannot be opened"):
            if store._files.get_file_info(url.netloc).type is not fs.FileType.Directory:
                raise StorageError(f"there is no bucket {url.netloc!r}: make it first, with the service's own tools.")
        return store

    @property
    def name(self) -> str:
        """The address, without credentials."""
        return f"s3://{self._location}"

    @property
    def is_remote(self) -> bool:
        """Yes."""
        return True

    def put(self, path: str, data: pa.Buffer) -> None:
        """Send one object in one piece."""
        with self._refusals(f"did not take {path}"), self._files.open_output_stream(self._key(path)) as stream:
            stream.write(data)

    def read(self, path: str) -> pa.Buffer:
        """All bytes of an object; a service that does not answer is no missing object."""
        with self._refusals(f"did not give {path}"), self._files.open_input_file(self._key(path)) as stream:
            return stream.read_buffer()

    def scan(self, paths: Sequence[str], *, keys: Sequence[str] = ()) -> pl.LazyFrame:
        """Lazy rows of the objects; only what a query needs of them is fetched."""
        return scan_parquet([self.address(path) for path in paths], keys, self._options)

    def files(self) -> Iterator[StoredFile]:
        """Every object below `parquet` that ends so."""
        start = fs.FileSelector(self._key("parquet"), allow_not_found=True, recursive=True)
        with self._refusals("cannot be listed"):
            found = self._files.get_file_info(start)
        for one in found:
            if one.type is fs.FileType.File and one.extension == "parquet":
                path = PurePosixPath(one.path).relative_to(self._location).as_posix()
                yield StoredFile(path, one.size, one.mtime)

    def exists(self, path: str) -> bool:
        """Whether there is such an object."""
        with self._refusals("cannot be asked"):
            return bool(self._files.get_file_info(self._key(path)).type is fs.FileType.File)

    def delete(self, path: str) -> bool:
        """Take an object away."""
        if not self.exists(path):
            return False
        with contextlib.suppress(FileNotFoundError), self._refusals(f"did not delete {path}"):
            self._files.delete_file(self._key(path))
        return True

    def set_aside(self, path: str) -> str | None:
        """Copy an object below `damaged/`."""
        if not self.exists(path):
            return None
        first = PurePosixPath(layout.DAMAGED_FOLDER, path)
        target, number = str(first), 1
        while self.exists(target) and not self.read(target).equals(self.read(path)):
            number += 1
            target = str(first.with_suffix(f".{number}.parquet"))
        if not self.exists(target):
            with self._refusals(f"did not copy {path}"):
                self._files.copy_file(self._key(path), self._key(target))
        return target

    def leftovers(self) -> list[str]:
        """None: an upload that died is no object."""
        return []

    def address(self, path: str) -> str:
        """`s3://bucket/prefix/...`."""
        return f"s3://{self._key(path)}"

    def filesystem(self) -> AbstractFileSystem:
        """Arrow's client under the interface that DuckDB takes."""
        from fsspec.implementations.arrow import ArrowFSWrapper  # noqa: PLC0415 - the extra `s3`

        class ForDuckDB(ArrowFSWrapper):  # type: ignore[misc]
            protocol = "s3"

        return ForDuckDB(self._files)

    def _key(self, path: str) -> str:
        return str(self._location / path)

    @contextlib.contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageError(
                f"{self.name} {what}: {str(error).splitlines()[0]}. Nothing was half written: mend the address, the "
                "credentials or the service, then run the same command again."
            ) from error


def _client(settings: Settings) -> fs.S3FileSystem:
    key, secret, token = settings.s3_access_key_id, settings.s3_secret_access_key, settings.s3_session_token
    endpoint = urlsplit(settings.s3_endpoint_url or "")
    return fs.S3FileSystem(
        access_key=key.get_secret_value() if key else None,
        secret_key=secret.get_secret_value() if secret else None,
        session_token=token.get_secret_value() if token else None,
        region=settings.s3_region,
        scheme=endpoint.scheme or None,
        endpoint_override=endpoint.netloc or None,
        # A bucket is made by whoever pays for it, never by a misspelled setting.
        allow_bucket_creation=False,
    )


def _polars_options(settings: Settings) -> dict[str, str]:
    secrets = {
        "aws_access_key_id": settings.s3_access_key_id,
        "aws_secret_access_key": settings.s3_secret_access_key,
        "aws_session_token": settings.s3_session_token,
    }
    options = {name: secret.get_secret_value() for name, secret in secrets.items() if secret is not None}
    if settings.s3_region:
        options["aws_region"] = settings.s3_region
    if settings.s3_endpoint_url:
        options["aws_endpoint_url"] = settings.s3_endpoint_url
        options["aws_allow_http"] = str(settings.s3_endpoint_url.startswith("http://")).lower()
    return options
