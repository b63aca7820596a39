"""All there is to read in a file that its own reader can't read: its bytes, and what is compressed in them as far as it goes.

A full disk and kill -9 leave Parquet files without a footer and Avro files that end in a block. Whatever was written before the end
is still there: the pages and blocks one after the other, each behind a header that says how long it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa

PARQUET_MAGIC, AVRO_MAGIC, SYNC_BYTES = b"PAR1", b"Obj\x01", 16
ZSTD_MAGIC, GZIP_MAGIC = b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08"
LONGEST_HEADER_BYTES = 1 << 18  # of a page or block, with statistics: so much may be left of one that was cut off
STEP_BYTES = 1024
MOST_DECODED_BYTES = 1 << 31  # of one frame: what is larger is not of a lake's writer
INTEGER, STRUCT = (5, 6, 4), 12  # of Thrift's compact protocol
UNCOMPRESSED_SIZE, COMPRESSED_SIZE = 2, 3  # fields of a page's header


@dataclass(slots=True)
class Contents:
    """parts: the bytes of a file and what is compressed in them. unread_bytes: of compressed parts that nothing here could decode.

    is_whole: of an Avro file, whether it ends where a block ends.
    """

    parts: list[bytes] = field(default_factory=list)
    unread_bytes: int = 0
    is_whole: bool = False


def contents_of(content: bytes) -> Contents:
    """Reads what a Parquet, Avro or any other file holds without trusting that it is whole. Never raises for what it holds."""
    found = Contents([content])
    if content.startswith(AVRO_MAGIC):
        _read_avro(content, found)
    elif content.startswith(PARQUET_MAGIC):
        _read_pages(content, found)
    else:
        found.parts += _frames(content)
    return found


def is_whole_avro(content: bytes) -> bool:
    """Whether an Avro file ends where a block ends; PyIceberg takes one that was cut off in a block for one that ends before it."""
    return contents_of(content).is_whole if content.startswith(AVRO_MAGIC) else False


def _read_avro(content: bytes, found: Contents) -> None:
    at = 0
    with suppress(IndexError, ValueError):
        codec, at = _avro_codec(content)
        while at < len(content):
            _, begin = _zigzag(content, at)
            size, begin = _zigzag(content, begin)
            end = begin + size + SYNC_BYTES
            _decode(codec, content[begin : begin + size], None, found, is_cut=end > len(content))
            at = end
        found.is_whole = at == len(content)
        return
    _keep_rest(content[at:], found)


def _keep_rest(rest: bytes, found: Contents) -> None:
    """What the structure could not be followed into: no more than a header that was cut off, or something that is not known."""
    if len(rest) > LONGEST_HEADER_BYTES:
        found.unread_bytes += len(rest)
    found.parts += _frames(rest)


def _avro_codec(content: bytes) -> tuple[str, int]:
    """The codec a file's header names, and where its first block begins."""
    at, codec = len(AVRO_MAGIC), "null"
    while True:
        count, at = _zigzag(content, at)
        if count == 0:
            return codec, at + SYNC_BYTES
        if count < 0:
            _, at = _zigzag(content, at)
        for _ in range(abs(count)):
            texts = []
            for _ in range(2):
                size, at = _zigzag(content, at)
                if size < 0 or at + size > len(content):
                    raise ValueError(size)
                texts.append(content[at : at + size])
                at += size
            if texts[0] == b"avro.codec":
                codec = texts[1].decode()


def _zigzag(content: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(content, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = content[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError(shift)


def _read_pages(content: bytes, found: Contents) -> None:
    """Pages stand one after the other from the magic on; which codec they are in, only the lost footer says."""
    at = len(PARQUET_MAGIC)
    with suppress(IndexError, ValueError):
        while at < len(content):
            (unpacked, packed), begin = _page_sizes(content, at)
            page = content[begin : begin + packed]
            codec = "null" if unpacked == packed else _codec_of(page)
            _decode(codec, page, unpacked, found, is_cut=len(page) < packed)
            at = begin + packed
        return
    _keep_rest(content[at:], found)


def _codec_of(page: bytes) -> str:
    if page.startswith(ZSTD_MAGIC):
        return "zstandard"
    return "gzip" if page.startswith(GZIP_MAGIC) else "snappy"


def _page_sizes(content: bytes, at: int) -> tuple[tuple[int, int], int]:
    """The sizes of a page, uncompressed and compressed, and where its header ends. ValueError if there is none."""
    fields, at = _struct(content, at)
    sizes = fields.get(UNCOMPRESSED_SIZE, -1), fields.get(COMPRESSED_SIZE, -1)
    if min(sizes) < 0:
        raise ValueError(sizes)
    return sizes, at


def _struct(content: bytes, at: int, depth: int = 0) -> tuple[dict[int, int], int]:
    """The numbers among a Thrift struct's fields, and where it ends."""
    if depth > 8:
        raise ValueError(depth)
    numbers, field_id = dict[int, int](), 0
    while (head := content[at]) != 0:
        at += 1
        kind = head & 0x0F
        if head >> 4:
            field_id += head >> 4
        else:
            field_id, at = _zigzag(content, at)
        if kind in (1, 2):  # true, false
            continue
        if kind == 3:
            at += 1
        elif kind in INTEGER:
            numbers[field_id], at = _zigzag(content, at)
        elif kind == 7:
            at += 8
        elif kind == 8:
            size, at = _varint(content, at)
            at += size
        elif kind == STRUCT:
            _, at = _struct(content, at, depth + 1)
        else:
            raise ValueError(kind)
    return numbers, at + 1


def _decode(codec: str, block: bytes, size: int | None, found: Contents, *, is_cut: bool) -> None:
    if codec == "null" or not block:
        return
    if codec == "deflate":
        found.parts.append(_inflated(block, -zlib.MAX_WBITS))
    elif codec in ("gzip", "zstandard"):
        found.parts.append(_inflated(block, zlib.MAX_WBITS | 16) if codec == "gzip" else _unzstd(block))
    elif codec == "snappy" and not is_cut:
        try:
            packed = block if size is not None else block[:-4]  # Avro puts a checksum behind it
            found.parts.append(pa.Codec("snappy").decompress(packed, _varint(packed, 0)[0], asbytes=True))
        except (pa.ArrowException, OSError, IndexError, ValueError):
            found.unread_bytes += len(block)
    else:
        found.unread_bytes += len(block)


def _frames(content: bytes) -> Iterator[bytes]:
    """What is compressed somewhere in bytes of no known structure and says so by a magic number.

    Nothing is copied for one: a text of nothing but magic numbers would take the square of the length.
    """
    view = memoryview(content)
    for magic, unpack in ((ZSTD_MAGIC, _unzstd), (GZIP_MAGIC, _gunzip)):
        at = content.find(magic)
        while at >= 0:
            if unpacked := unpack(view[at:]):
                yield unpacked
            at = content.find(magic, at + 1)


def _gunzip(block: bytes | memoryview) -> bytes:
    return _inflated(block, zlib.MAX_WBITS | 16)


def _inflated(block: bytes | memoryview, window: int) -> bytes:
    """Of a block that is cut off, what comes before the cut; nothing if it begins with a longer header than any writer's."""
    engine, made = zlib.decompressobj(window), bytearray()
    with suppress(zlib.error):
        for at in range(0, len(block), STEP_BYTES):
            made += engine.decompress(block[at : at + STEP_BYTES])
            if engine.eof or len(made) > MOST_DECODED_BYTES or (not made and at > LONGEST_HEADER_BYTES):
                break
    return bytes(made)


def _unzstd(block: bytes | memoryview) -> bytes:
    """A frame up to its end or its cut. Arrow gives nothing of a read that meets either, so the last part is read by byte."""
    made = bytearray()
    for step in (STEP_BYTES, 1):
        with suppress(pa.ArrowException, OSError), pa.CompressedInputStream(pa.BufferReader(block), "zstd") as stream:
            for at in range(0, len(made), STEP_BYTES):
                stream.read(min(STEP_BYTES, len(made) - at))
            while (part := stream.read(step)) and len(made) <= MOST_DECODED_BYTES:
                made += part
            return bytes(made)
    return bytes(made)
