"""Opaque tokens: shard iterators and the next-page tokens of lists. Pure.

Both say what they need to be served from any process: nothing is kept between two calls. A checksum keeps
made-up and damaged tokens out; it is no secret, for the twin has none to keep.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from local.kinesis.errors import KinesisError, invalid_argument

LIFETIME_MS = 300_000  # of a shard iterator and of a NextToken (API reference)

_Token = TypeVar("_Token", bound=msgspec.Struct)


class Position(msgspec.Struct, array_like=True, frozen=True):
    """A shard iterator: the next record to read is the first with at least this counter."""

    stream: str
    index: int
    stamp_ms: int  # of the shard: an iterator of a deleted namesake must not fit
    counter: int
    made_ms: int


class Page(msgspec.Struct, array_like=True, frozen=True):
    """A next-page token: go on after `after` in what `kind` lists for `subject`."""

    kind: str
    subject: str
    after: str
    made_ms: int
    filter: str = ""
    filter_after: str = ""
    filter_at_ms: int = 0


def _seal(token: msgspec.Struct) -> str:
    body = msgspec.msgpack.encode(token)
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big") + body).decode()


def _unseal(text: str, kind: type[_Token]) -> _Token | None:
    try:
        raw = base64.b64decode(text, validate=True)
        if len(raw) < 4 or zlib.crc32(raw[4:]).to_bytes(4, "big") != raw[:4]:
            return None
        return msgspec.msgpack.decode(raw[4:], type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None


def iterator(position: Position) -> str:
    """The ShardIterator of a position."""
    return _seal(position)


def parse_iterator(text: str, now_ms: int) -> Position:
    """Read a ShardIterator.

    Raises:
        KinesisError: InvalidArgumentException when it is none, ExpiredIteratorException after 5 minutes.
    """
    position = _unseal(text, Position)
    if position is None:
        raise invalid_argument("Invalid ShardIterator.")
    if now_ms - position.made_ms > LIFETIME_MS:
        raise KinesisError(
            "ExpiredIteratorException",
            f"Iterator expired. The iterator was created at time {_date(position.made_ms)} while right now it is "
            f"{_date(now_ms)} which is further in the future than the tolerated delay of {LIFETIME_MS} "
            "milliseconds.",
        )
    return position


def next_token(page: Page) -> str:
    """The NextToken of a page."""
    return _seal(page)


def parse_next_token(text: str, kind: str, now_ms: int) -> Page:
    """Read the NextToken of a list of this kind.

    Raises:
        KinesisError: InvalidArgumentException when it is none, ExpiredNextTokenException after 5 minutes.
    """
    page = _unseal(text, Page)
    if page is None or page.kind != kind:
        raise invalid_argument("Invalid NextToken.")
    if now_ms - page.made_ms > LIFETIME_MS:
        raise KinesisError("ExpiredNextTokenException", "The NextToken has expired.")
    return page


def _date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
