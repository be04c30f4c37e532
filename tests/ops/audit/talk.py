"""A session as the streams have it when all went well; tests then take away, repeat and swap."""

from collections.abc import Sequence

import msgspec

from ops.audit.evidence import Evidence, Listening, Seen
from streams.records import (
    AudioChunk,
    Caption,
    Dynamics,
    Receipt,
    Record,
    SessionEvent,
    SpeechPart,
    Transcript,
    Word,
)
from streams.resources import StreamName
from streams.stage import Position

SESSION = "golden-eagle-427"


class LeftOut(SpeechPart, frozen=True, kw_only=True, tag="speech"):
    """A clause that translate left unspoken because it was too late (row S8)."""

    skipped_by: str = "translate"


class LeftOutReceipt(Receipt, frozen=True, kw_only=True, tag="receipt"):
    """Of a clause that was left unspoken."""

    skipped_by: str = "broadcast"


BEGAN_MS = 1_767_225_600_000
CLAUSE_MS = 1000
WORDS = 2
CHUNK_MS = 100
LOUD = (1000).to_bytes(2, "little", signed=True)


def clause(number: int, *, session: str = SESSION) -> Transcript:
    """The clause of second `number`: an utterance has two of them."""
    start_ms = number * CLAUSE_MS + 100
    span_ms = (CLAUSE_MS - 200) // WORDS
    words = [Word(f"w{number:03}{i}", start_ms + i * span_ms, start_ms + (i + 1) * span_ms) for i in range(WORDS)]
    return Transcript(
        session_id=session,
        utterance_id=f"{session}:{number // 2 * 2 * CLAUSE_MS + 100}",
        status="clause",
        source_language="en-US",
        transcript_text=" ".join(word.text for word in words),
        words=words,
        start_ms=start_ms,
        end_ms=words[-1].end_ms,
        clause=number % 2,
        revision=number % 2 + 1,
        stability_score=1.0,
        timestamp=0,
    )


def final(clauses: Sequence[Transcript]) -> Transcript:
    words = [word for each in clauses for word in each.words]
    return msgspec.structs.replace(
        clauses[0],
        status="final",
        transcript_text=" ".join(each.transcript_text for each in clauses),
        words=words,
        end_ms=words[-1].end_ms,
        clause=len(clauses),
        revision=len(clauses) + 1,
    )


def caption(said: Transcript, language: str, text: str) -> Caption:
    return Caption(
        session_id=said.session_id,
        utterance_id=said.utterance_id,
        language=language,
        revision=said.revision,
        text=text,
        committed=len(text),
        final=said.status == "final",
        start_ms=said.start_ms,
        end_ms=said.end_ms,
    )


def speech(said: Transcript, language: str, sequence: int, part: int = 0, parts: int = 1) -> SpeechPart:
    return SpeechPart(
        session_id=said.session_id,
        utterance_id=said.utterance_id,
        clause=said.clause,
        language=language,
        sequence=sequence,
        text=said.transcript_text,
        ssml="",
        voice="Lucia",
        dynamics=Dynamics(),
        sample_rate_hz=16_000,
        pcm=bytes(200),
        start_ms=said.start_ms,
        end_ms=said.end_ms,
        part=part,
        parts=parts,
        offset_bytes=200 * part,
        total_bytes=200 * parts,
    )


def left_out(said: Transcript, language: str, sequence: int) -> SpeechPart:
    """It has no sound, and no number of its own: the next clause has it too."""
    spoken = msgspec.to_builtins(speech(said, language, sequence), builtin_types=(bytes,))
    return msgspec.convert(spoken | {"pcm": b"", "totalBytes": 0}, LeftOut)


def receipt(spoken: SpeechPart, reached: int = 1, gone: int = 0, failed: int = 0, dropped: int = 0) -> Receipt:
    return Receipt(
        session_id=spoken.session_id,
        of="speech",
        language=spoken.language,
        utterance_id=spoken.utterance_id,
        clause=spoken.clause,
        reached=reached,
        gone=gone,
        failed=failed,
        dropped=dropped,
        timestamp=0,
    )


def chunk(number: int, pcm: bytes | None = None, connection: str = "c") -> AudioChunk:
    """100 ms of audio; by default one that can be heard where `clause` has words."""
    within = number % (CLAUSE_MS // CHUNK_MS)
    sound = LOUD if 1 <= within <= 8 else b"\0\0"
    return AudioChunk(
        session_id=SESSION,
        connection=connection,
        admitted_at_ms=BEGAN_MS + number * CHUNK_MS,
        captured_at_ms=BEGAN_MS + number * CHUNK_MS,
        sequence=number,
        pcm=sound * (16 * CHUNK_MS) if pcm is None else pcm,
    )


def event(what: str, at_ms: int = 0, version: int = 0) -> SessionEvent:
    """version: of a change of state, which says that the speaker is muted, if it is not 0."""
    fields = {"kind": "event", "sessionId": SESSION, "event": what, "timestamp": BEGAN_MS + at_ms, "version": version}
    return msgspec.convert(fields | ({"isMuted": what != "unmuted"} if version else {}), SessionEvent)


def told(what: SessionEvent, reached: int = 1, failed: int = 0) -> Receipt:
    return Receipt(
        session_id=SESSION,
        of="event",
        language="",
        utterance_id=what.event_id,
        clause=-1,
        reached=reached,
        gone=0,
        failed=failed,
        dropped=0,
        timestamp=0,
    )


def records(clauses: int = 4, languages: Sequence[str] = ("es", "ca")) -> dict[StreamName, list[Record]]:
    """All streams of a talk with so many clauses of a second, two to an utterance."""
    said = [clause(number) for number in range(clauses)]
    transcripts: list[Record] = [event("created")]
    spoken: list[Record] = [event("created")]
    receipts: list[Record] = []
    for number, each in enumerate(said):
        transcripts.append(each)
        closes = number % 2 == 1 or number == clauses - 1
        first = number - number % 2
        if closes:
            transcripts.append(final(said[first : number + 1]))
        text = " ".join(one.transcript_text for one in said[first : number + 1])
        for language in languages:
            spoken.append(caption(each, language, text))
            spoken.append(speech(each, language, number))
            receipts.append(receipt(speech(each, language, number)))
            if closes:
                spoken.append(caption(final(said[first : number + 1]), language, text))
    end = event("ended", clauses * CLAUSE_MS)
    chunks: list[Record] = [chunk(number) for number in range(clauses * CLAUSE_MS // CHUNK_MS)]
    return {
        "audio": [event("created"), *chunks, end],
        "transcripts": [*transcripts, end],
        "speech": [*spoken, end],
        "receipts": [*receipts, told(end)],
    }


def evidence(
    streams: dict[StreamName, list[Record]],
    languages: Sequence[str] = ("es", "ca"),
    read_after_ms: int = 100_000,
) -> Evidence:
    """As if each record had been written 10 ms after the one before, and everything read a good while later."""
    found = Evidence(SESSION, created_at_ms=BEGAN_MS, exact=True, read_at_ms=BEGAN_MS + read_after_ms)
    found.listening = [Listening(BEGAN_MS, frozenset(languages)), Listening(BEGAN_MS + 90_000, frozenset(languages))]
    for stream, rows in streams.items():
        for number, record in enumerate(rows):
            found.take(stream, Position("shardId-000000000000", number), BEGAN_MS + 10 * number, record)
    return found


def place(rows: Sequence[Seen], record: Record) -> str:
    """The sequence number of a record, without its sound, as a finding gives it."""
    light = msgspec.structs.replace(record, pcm=b"") if isinstance(record, AudioChunk | SpeechPart) else record
    return str(next(seen.position.sequence for seen in rows if seen.record == light))
