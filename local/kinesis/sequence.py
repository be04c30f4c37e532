"""Sequence numbers: 56-digit decimals that grow within a shard and from parent to child.

A number is `49 * 10**54` plus three fields: the shard's creation stamp (ms, later than its parents'), the
record's counter in the shard (from 1; 0 is the shard's start) and the shard's number. All numbers have
the same length, so they sort as text and as integers alike, and one number says which shard it came from,
as the service's do.
"""

from __future__ import annotations

from typing import NamedTuple

_BASE = 49 * 10**54
_COUNTER_SHIFT = 32  # below it: the shard's number
_STAMP_SHIFT = 32 + 48  # 48 bits of counter: 2.8e14 records in one shard
_INDEX_MASK = (1 << 32) - 1
_COUNTER_MASK = (1 << 48) - 1
_STAMP_LIMIT = 1 << 44  # ms since 1970, until the year 2527


class Sequence(NamedTuple):
    """A sequence number taken apart."""

    stamp_ms: int
    counter: int
    shard_index: int


def shard_base(stamp_ms: int, shard_index: int) -> int:
    """The part that all sequence numbers of a shard share; see `number`."""
    return _BASE + (stamp_ms << _STAMP_SHIFT) + shard_index


def number(base: int, counter: int) -> str:
    """The sequence number of a shard's record, `base` being the shard's own."""
    return str(base + (counter << _COUNTER_SHIFT))


def parse(text: str) -> Sequence:
    """Take a sequence number apart.

    Raises:
        ValueError: the text is no sequence number of ours.
    """
    if not (text.isascii() and text.isdigit()):
        raise ValueError("a sequence number is a decimal")
    value = int(text) - _BASE
    if value < 0 or value >> _STAMP_SHIFT >= _STAMP_LIMIT:
        raise ValueError("a sequence number outside the range of this service")
    return Sequence(value >> _STAMP_SHIFT, (value >> _COUNTER_SHIFT) & _COUNTER_MASK, value & _INDEX_MASK)
