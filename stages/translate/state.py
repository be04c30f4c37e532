"""The stage's snapshot, and what it knows of utterances."""

from typing import Final

import msgspec

from streams import state as snapshots
from streams.records import Word

VERSION: Final = 1


class Text(msgspec.Struct):
    """An utterance in one language: committed text only, and the revision of its last caption."""

    committed: str = ""
    revision: int = 0


class Utterance(msgspec.Struct):
    """An utterance that no final has closed. clauses: the index of its next clause. texts: by language."""

    start_ms: int
    clauses: int = 0
    texts: dict[str, Text] = {}


class TranslateState(msgspec.Struct):
    """All of it. spoken: clauses spoken so far, by language. events: ids of the last session events passed on that have
    no number; version: the number of the last that has one. behind: languages whose last clause was left out as too
    late."""

    v: int = VERSION
    horizon_ms: int = 0
    recent: list[Word] = []
    utterances: dict[str, Utterance] = {}
    spoken: dict[str, int] = {}
    events: list[str] = []
    behind: list[str] = []
    version: int = 0


def encode(state: TranslateState) -> bytes:
    """The snapshot's bytes."""
    return snapshots.encode(state)


def decode(data: bytes) -> TranslateState:
    """What `encode` was given. Raises NewerVersion for a later major version, BadRecord for what is no snapshot."""
    return snapshots.decode(data, TranslateState, VERSION)
