"""What an audit says: the object of `herald audit --json`. Keys are stable; no text of what was said is in it."""

from typing import Literal

import msgspec

from ops.audit.evidence import Seen
from streams.stage import Position

State = Literal["going_on", "ending", "over"]


class Place(msgspec.Struct, frozen=True):
    """Where in the streams. sequence_number: as Kinesis writes it."""

    stream: str
    shard_id: str
    sequence_number: str


class Finding(msgspec.Struct, frozen=True):
    """One thing. code: its kind, stable; sentence: for people; language: if it is one language's."""

    code: str
    sentence: str
    place: Place | None = None
    language: str | None = None


class SoundAccount(msgspec.Struct):
    """The audio stream. duration_ms: where the media clock stands; jumped_ms: of that, what never came.

    gaps: stretches of capture sequence that are missing, missing: chunks in them; refused: chunks missing across a
    pause or a mute, when the door takes none; muted: chunks that slipped in then, which readers drop. repeats: chunks
    that were written twice; reordered: that were written after a later one; late: that came too late for their place.
    unheard_ms: audible sound that no utterance covers and no dead letter names.
    """

    chunks: int = 0
    connections: int = 0
    duration_ms: int = 0
    jumped_ms: int = 0
    gaps: int = 0
    missing: int = 0
    refused: int = 0
    muted: int = 0
    repeats: int = 0
    reordered: int = 0
    late: int = 0
    audible_ms: int = 0
    unheard_ms: int = 0


class WordsAccount(msgspec.Struct):
    """The transcripts stream. clauses, words: committed. open: utterances with clauses and no final.

    again: words that were committed already when they came (an owner before, who did not know): not spoken twice.
    repeats: records that were written twice.
    """

    utterances: int = 0
    clauses: int = 0
    words: int = 0
    finals: int = 0
    open: int = 0
    again: int = 0
    repeats: int = 0


class LanguageAccount(msgspec.Struct):
    """One language. wanted: committed clauses for which it had a listener, or which it was given all the same.

    Of those: spoken, whole; captioned; skipped, left unspoken on purpose because they were too late (row S8); named,
    not spoken for a reason that a dead letter gives; under_way, not yet due; lost. duplicated, reordered: clauses
    spoken again, or after a later one. rewritten: captions whose committed text changed. repeats: records that were
    written twice. received: clauses with a receipt; reached, gone, failed, dropped: listeners, summed over those.
    """

    wanted: int = 0
    spoken: int = 0
    captioned: int = 0
    skipped: int = 0
    named: int = 0
    under_way: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    rewritten: int = 0
    repeats: int = 0
    received: int = 0
    reached: int = 0
    gone: int = 0
    failed: int = 0
    dropped: int = 0


class EndAccount(msgspec.Struct):
    """Up to where the session's end has come (Unix milliseconds).

    told: listeners that were told, missed: that were not; None while there is no receipt.
    """

    in_audio_at_ms: int | None = None
    in_transcripts_at_ms: int | None = None
    in_speech_at_ms: int | None = None
    receipt_at_ms: int | None = None
    told: int | None = None
    missed: int | None = None


class LetterLine(msgspec.Struct):
    """A dead letter of the session."""

    id: str
    stage: str
    place: Place
    code: str
    reason: str
    attempts: int
    buried_at_ms: int
    redriven: int


class Audit(msgspec.Struct):
    """The whole. ok: nothing is off. listeners_known: whether the journal says who listened when; if not, a language is
    taken to have had a listener between its first and its last caption."""

    session_id: str
    state: State
    ok: bool
    created_at_ms: int | None
    ended_at_ms: int | None
    listeners_known: bool
    sound: SoundAccount
    words: WordsAccount
    languages: dict[str, LanguageAccount]
    end: EndAccount
    dead_letters: list[LetterLine]
    findings: list[Finding]
    notes: list[Finding]


def clause_name(utterance_id: str, clause: int) -> str:
    """A clause in a sentence."""
    return f"clause {clause} of utterance {utterance_id}"


def place_of(seen: Seen) -> Place:
    """A record's place."""
    return place_at(seen.stream, seen.position)


def place_at(stream: str, position: Position) -> Place:
    """A position's place."""
    return Place(stream, position.shard_id, str(position.sequence))
