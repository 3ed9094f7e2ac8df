"""Rows out over HTTP: in the form the client asks for, streamed in bounded memory, packed, and not sent twice.

`answer` is what a route returns. What it leaves to the route: which rows, and what they depend on (`etag`).
"""

from __future__ import annotations

import hashlib
import itertools
import zlib
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

import polars as pl
import pyarrow as pa
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from app.api.formats import SUFFIXES, Media, encode
from app.api.negotiation import preferred_media, takes_gzip

__all__ = ["FORMS", "Rows", "answer", "answer_document", "etag_of", "forms", "is_known", "media_of", "not_modified"]

Rows: TypeAlias = pl.DataFrame | pl.LazyFrame | pa.RecordBatchReader | Iterator[pl.DataFrame]
"""What can be answered. An iterator gives one frame at least, all of the same columns."""

BATCH_ROWS = 16_384
"""Rows encoded at a time as text: about 2 MB in memory, and 4 MB of JSON."""

BINARY_ROWS = 32_768
"""The same of Arrow and Parquet: 3 MB."""

CHUNKS_AHEAD = 2
"""Chunks made while one is on its way."""

GZIP_LEVEL = 1
GZIP_FROM_BYTES = 1_024
"""Below this, packing costs more than it saves."""

_SCHEMA = {"type": "string", "format": "binary"}
FORMS: dict[str, Any] = {
    Media.CSV.value: {"schema": {"type": "string"}},
    Media.ARROW.value: {"schema": _SCHEMA},
    Media.PARQUET.value: {"schema": _SCHEMA},
}
"""The forms beside JSON, for the description of a route."""


def forms(rows: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route whose rows come in every form: 200, 304 and 406."""
    return {
        200: {"description": f"{rows} Also as CSV, an Arrow IPC stream or Parquet, by `Accept`.", "content": FORMS},
        304: {"description": "Nothing changed since the answer whose `ETag` was sent in `If-None-Match`."},
    }


def media_of(request: Request) -> Media:
    """The form this client would rather have.

    Raises
    ------
    HTTPException
        406, when it takes none of them.
    """
    return Media(preferred_media(request.headers.get("accept"), list(Media)))


def etag_of(*parts: object) -> str:
    """A weak entity tag of what an answer depends on: equal parts, equal rows."""
    digest = hashlib.sha256("\n".join(repr(part) for part in parts).encode()).hexdigest()
    return f'W/"{digest[:32]}"'


def is_known(request: Request, etag: str) -> bool:
    """Whether the client holds the answer of this tag already; tags are compared weakly (RFC 9110, 13.1.2)."""
    given = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def not_modified(etag: str) -> Response:
    """304 for a client that holds the answer of this tag."""
    return Response(status_code=304, headers=_caching(etag))


def answer(
    request: Request,
    rows: Rows,
    *,
    name: str,
    facts: Mapping[str, Any] | None = None,
    next_cursor: str | None = None,
    etag: str | None = None,
) -> Response:
    """The rows in the form that the client would rather have, as `app.api.formats.encode` writes them.

    Parameters
    ----------
    name
        Of the file, without its suffix, for those who keep the answer as one.
    facts
        What JSON says beside `items` and `next_cursor`, such as the feed; text among it is also sent as headers
        `X-Barlake-<Name>`, because the other forms hold rows alone.
    next_cursor
        Of the page after this one; sent as `Link: <...>; rel="next"` too, which every form has.
    etag
        None makes one of the bytes of an answer that is sent in one piece.

    Raises
    ------
    HTTPException
        406, when the client takes none of the forms.
    BarlakeError
        What reading the first batch raises. A fault in a later one ends the connection without an end of the
        answer, which clients tell from a whole one.
    """
    media = media_of(request)
    given = dict(facts or {})
    frames = _first_read(_batches(rows, is_text=media.is_text))
    body = encode(frames, media, {**given, "next_cursor": next_cursor})
    headers = _headers(request, media, name, given, next_cursor)
    is_whole = isinstance(rows, pl.DataFrame) and rows.height <= BATCH_ROWS
    return _finished(request, _Body(body, media.value, is_text=media.is_text, is_whole=is_whole), headers, etag)


def answer_document(request: Request, text: str | bytes, *, media: str = Media.JSON.value) -> Response:
    """A document made elsewhere, with the tag of its bytes: 304 for those who hold it."""
    body = text.encode() if isinstance(text, str) else text
    return _finished(request, _Body(iter([body]), media, is_text=True, is_whole=True), {"Vary": _VARY}, None)


_VARY = "Accept, Accept-Encoding"


@dataclass(frozen=True)
class _Body:
    """Bytes to be sent, and what they are."""

    chunks: Iterator[bytes]
    media: str
    is_text: bool
    is_whole: bool  # small enough to be sent in one piece


def _finished(request: Request, body: _Body, headers: dict[str, str], etag: str | None) -> Response:
    is_packed = body.is_text and takes_gzip(request.headers.get("accept-encoding"))
    if not body.is_whole:
        chunks = _ahead(_packed(body.chunks) if is_packed else body.chunks)
        packing = {"Content-Encoding": "gzip"} if is_packed else {}
        caching = {} if etag is None else _caching(etag)
        return StreamingResponse(chunks, media_type=body.media, headers={**headers, **packing, **caching})
    content = b"".join(body.chunks)
    etag = etag or etag_of(content)
    if is_known(request, etag):
        return not_modified(etag)
    if is_packed and len(content) >= GZIP_FROM_BYTES:
        content = b"".join(_packed(iter([content])))
        headers = {**headers, "Content-Encoding": "gzip"}
    return Response(content, media_type=body.media, headers={**headers, **_caching(etag)})


def _caching(etag: str) -> dict[str, str]:
    # Kept by the client alone, and asked about each time: the lake may have changed.
    return {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": _VARY}


def _headers(
    request: Request, media: Media, name: str, facts: Mapping[str, Any], next_cursor: str | None
) -> dict[str, str]:
    file = f"{name}.{SUFFIXES[media]}"
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in file)
    headers = {
        "Vary": _VARY,
        "Content-Disposition": f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(file, safe='')}",
    }
    for key, value in facts.items():
        if isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip():
            headers[f"X-Barlake-{key.replace('_', '-').title()}"] = value
    if next_cursor is not None:
        url = request.url.include_query_params(cursor=next_cursor)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return headers


def _batches(rows: Rows, *, is_text: bool) -> Iterator[pl.DataFrame]:
    if isinstance(rows, pl.DataFrame):
        yield from rows.iter_slices(BATCH_ROWS) if rows.height else [rows]
        return
    if isinstance(rows, pl.LazyFrame):
        yield rows.clear().collect()
        yield from rows.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
        return
    if isinstance(rows, pa.RecordBatchReader):
        yield from _of_arrow(rows)
        return
    for frame in rows:
        yield from frame.iter_slices(BATCH_ROWS if is_text else BINARY_ROWS) if frame.height else [frame]


def _of_arrow(reader: pa.RecordBatchReader) -> Iterator[pl.DataFrame]:
    empty = pl.from_arrow(reader.schema.empty_table())
    batches = (pl.from_arrow(pa.Table.from_batches([batch])) for batch in reader)
    for frame in itertools.chain([empty], batches):
        assert isinstance(frame, pl.DataFrame)  # noqa: S101 - narrows polars' union type
        yield from frame.iter_slices(BATCH_ROWS) if frame.height else [frame]


def _first_read(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same frames, the first of them in memory already: its faults are answered as problems, not cut off."""
    first = next(frames)
    if first.height:
        return itertools.chain([first], frames)
    # An empty one may only say what the columns are.
    second = next(frames, None)
    return itertools.chain([first], [] if second is None else [second], frames)


def _ahead(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same chunks; while one is sent, those after it are made."""
    maker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="answer")
    try:
        coming = deque(maker.submit(next, chunks, None) for _ in range(CHUNKS_AHEAD))
        while (chunk := coming.popleft().result()) is not None:
            coming.append(maker.submit(next, chunks, None))
            yield chunk
    finally:
        # A client may go away while a chunk is made: the loop that learns of it must not wait for the disk.
        maker.shutdown(wait=False, cancel_futures=True)


def _packed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()
