"""The audio stream: capture sequence, media clock, and sound of which nothing was made. Pure.

Chunks are placed as every reader of audio places them (`streams.timeline`), one that is never held up.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec
import numpy as np

from ops.account import EDGE_MS, HOP_MS
from ops.audit.evidence import Evidence, Seen, transcripts_of
from ops.audit.result import Finding, SoundAccount, clause_name, place_of
from streams.media_clock import SAMPLES_PER_MS
from streams.records import AudioChunk, SessionEvent
from streams.speaker_state import SpeakerState
from streams.stage import Input, Position
from streams.timeline import Passed, Placed, Timeline

CLOCK_MS: Final = 500
"""How far the media clock of a reader that was held up may differ from ours: a chunk or two that it gave up on."""


class Sound(NamedTuple):
    """What the audio says. end_ms: where the media clock stands."""

    account: SoundAccount
    findings: list[Finding]
    notes: list[Finding]


def sound(evidence: Evidence, *, over: bool) -> Sound:
    """Read a session's audio. over: nothing more will come."""
    account = SoundAccount()
    named = {letter.position for letter in evidence.letters if letter.stage == "transcribe"}
    placed, late = _place(evidence.audio, account)
    findings = [*_sequences(evidence.audio, account), *_late(late, named, account)]
    if placed and "audio" not in evidence.trimmed:  # without its first chunk nobody knows where the media clock began
        findings += _uncovered(evidence, placed, named, account, over=over)
        findings += _beyond(evidence, account.duration_ms) if over else []
    notes = []
    if account.jumped_ms:
        sentence = f"the media clock jumped by {account.jumped_ms} ms in all, over what never came"
        notes.append(Finding("media_clock_jumped", sentence))
    return Sound(account, findings, notes)


def _chunks(rows: Sequence[Seen]) -> Iterator[tuple[Seen, AudioChunk]]:
    return ((seen, seen.record) for seen in rows if isinstance(seen.record, AudioChunk))


def _place(rows: Sequence[Seen], account: SoundAccount) -> tuple[list[tuple[Seen, int]], list[Seen]]:
    """Each chunk with the sample at which it starts; and those that came too late."""
    timeline = Timeline()
    placed: list[tuple[Seen, int]] = []
    late: list[Seen] = []
    by_position = {seen.position: seen for seen in rows}
    speaker = SpeakerState()

    def take(passed: Passed) -> None:
        placed.extend((by_position[each.received.position], each.start_sample) for each in passed.placed)
        account.jumped_ms += sum(map(_jump_ms, passed.placed))
        account.repeats += len(passed.repeated)
        late.extend(by_position[position] for position in passed.late)

    for seen in rows:
        wake_ms = timeline.wake_at_ms()
        if wake_ms is not None and wake_ms <= seen.written_ms:
            take(timeline.release(wake_ms))
        match seen.record:
            case AudioChunk() if speaker.is_quiet:
                account.muted += 1
            case AudioChunk() as chunk if seen.size_bytes and not seen.size_bytes % 2:
                whole = msgspec.structs.replace(chunk, pcm=bytes(seen.size_bytes))
                take(timeline.push(Input(seen.position, whole, seen.written_ms, seen.written_ms), seen.written_ms))
            case SessionEvent() as event:
                was_quiet, speaker = speaker.is_quiet, speaker.after(event) or speaker
                if (speaker.is_quiet and not was_quiet) or event.event == "ended":
                    take(timeline.release(seen.written_ms, everything=True))
                elif was_quiet and not speaker.is_quiet:
                    timeline.reopen()
    take(timeline.release(rows[-1].written_ms if rows else 0, everything=True))
    account.chunks = len(placed) + account.repeats + len(late) + account.muted
    account.duration_ms = timeline.now_ms
    return placed, late


def _jump_ms(each: Placed) -> int:
    return each.missing_samples // SAMPLES_PER_MS


def _late(late: Sequence[Seen], named: set[Position], account: SoundAccount) -> Iterator[Finding]:
    account.late = len(late)
    for seen in late:
        if seen.position not in named:
            yield Finding(
                "chunk_late", "a chunk came too late for its place, and no dead letter names it", place_of(seen)
            )


def _sequences(rows: Sequence[Seen], account: SoundAccount) -> Iterator[Finding]:
    """Stretches of sequence that never came, by connection.

    A speaker counts from 0, and on while the door takes nothing; after a new connection it may go on where it was.
    """
    closed = _closed(rows)
    by_connection: dict[str, dict[int, int]] = {}
    highest: dict[str, int] = {}
    for index, seen in enumerate(rows):
        if isinstance(seen.record, AudioChunk):
            numbers = by_connection.setdefault(seen.record.connection, {})
            if seen.record.sequence is not None:
                is_new = seen.record.sequence not in numbers
                account.reordered += is_new and seen.record.sequence < highest.get(seen.record.connection, -1)
                highest[seen.record.connection] = max(seen.record.sequence, highest.get(seen.record.connection, -1))
                numbers.setdefault(seen.record.sequence, index)
    account.connections = len(by_connection)
    first = next(iter(by_connection.values()), {})
    if first:
        first[-1] = -1  # before all others
    for numbers in by_connection.values():
        for earlier, later in pairwise(sorted(numbers)):
            if later == earlier + 1:
                continue
            missing = later - earlier - 1
            if any(closed[max(0, numbers[earlier]) : numbers[later]]):
                account.refused += missing
                continue
            account.gaps += 1
            account.missing += missing
            which = f"chunk {earlier + 1}" if missing == 1 else f"chunks {earlier + 1} to {later - 1}"
            sentence = f"{which} never came to the audio stream"
            yield Finding("audio_gap", sentence, place_of(rows[numbers[later]]))


def _closed(rows: Sequence[Seen]) -> list[bool]:
    """For each row, whether the door takes nothing from it on."""
    speaker, ended = SpeakerState(), False
    closed = []
    for seen in rows:
        if isinstance(seen.record, SessionEvent):
            speaker = speaker.after(seen.record) or speaker
            ended = ended or seen.record.event == "ended"
        closed.append(speaker.is_quiet or ended)
    return closed


def _uncovered(
    evidence: Evidence,
    placed: Sequence[tuple[Seen, int]],
    named: set[Position],
    account: SoundAccount,
    *,
    over: bool,
) -> Iterator[Finding]:
    """Audible sound that lies in no utterance. A recogniser of speech makes nothing of a cough; tones all count."""
    hops = account.duration_ms // HOP_MS + 1
    loud = np.zeros(hops, bool)
    left = np.zeros(hops, bool)
    for seen, start in placed:
        at = start // SAMPLES_PER_MS // HOP_MS
        mask = np.frombuffer(seen.audible, np.uint8).astype(bool)[: hops - at]
        loud[at : at + len(mask)] |= mask
        if seen.position not in named:
            left[at : at + len(mask)] |= mask
    heard_ms = 0
    for _, said in transcripts_of(evidence.transcripts):
        if said.status in ("clause", "final") and said.words:
            left[max(0, said.start_ms - EDGE_MS) // HOP_MS : -(-(said.end_ms + EDGE_MS) // HOP_MS)] = False
            heard_ms = max(heard_ms, said.end_ms)
    if not over:
        left[heard_ms // HOP_MS :] = False  # under way
    account.audible_ms = int(loud.sum()) * HOP_MS
    account.unheard_ms = int(left.sum()) * HOP_MS
    if evidence.exact:
        yield from _stretches(left, placed)
    elif over and account.audible_ms and not heard_ms:
        sentence = f"nothing was recognised, though {account.audible_ms / 1000:.1f} s can be heard"
        yield Finding("nothing_recognised", sentence, place_of(placed[0][0]))


def _beyond(evidence: Evidence, duration_ms: int) -> Iterator[Finding]:
    """Words where there was no audio: a media clock that jumped."""
    for seen, said in transcripts_of(evidence.transcripts):
        if said.status == "clause" and said.end_ms > duration_ms + CLOCK_MS:
            sentence = (
                f"{clause_name(said.utterance_id, said.clause)} ends at {said.end_ms} ms of the media clock,"
                f" and the audio at {duration_ms} ms"
            )
            yield Finding("clause_without_sound", sentence, place_of(seen))


def _stretches(left: "np.typing.NDArray[np.bool_]", placed: Sequence[tuple[Seen, int]]) -> Iterator[Finding]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], left, [False]))))
    starts = [start // SAMPLES_PER_MS for _, start in placed]
    for begin, end in edges.reshape(-1, 2).tolist():
        begin_ms, end_ms = begin * HOP_MS, end * HOP_MS
        which = max(0, int(np.searchsorted(starts, begin_ms, side="right")) - 1)
        sentence = (
            f"sound at {begin_ms} to {end_ms} ms of the media clock lies in no utterance, and no dead letter names it"
        )
        yield Finding("sound_unheard", sentence, place_of(placed[which][0]))
