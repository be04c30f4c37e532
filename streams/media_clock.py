"""The media clock: where each chunk of a session lies, counted from its first sample (row T4). Pure.

A chunk starts where the one before ended, unless sequence or capture time say that something is missing; then the
clock jumps by what is missing. The clock belongs to the session: connections and recogniser streams come and go.
"""

from typing import Final

import msgspec

from streams.records import BYTES_PER_MS, AudioChunk

SAMPLES_PER_MS: Final = BYTES_PER_MS // 2
JITTER_MS: Final = 500
"""Capture times wander by timers and buffers; a difference up to this is no gap."""
BURST_MS: Final = 10_000
"""What a speaker says of its clock is believed only within this of the gateway's: a stalled network delivers later, in
a burst, what was captured with gaps; a clock that was set, or is wrong, must not move the media clock by years."""


class ClockState(msgspec.Struct):
    """What a snapshot keeps. next_sample: where the next chunk starts, if nothing is missing."""

    next_sample: int = 0
    connection: str = ""
    sequence: int | None = None
    captured_end_ms: int | None = None
    admitted_at_ms: int | None = None


class MediaClock:
    """Places chunks, given in the order of speech."""

    def __init__(self, state: ClockState | None = None) -> None:
        self.state = state or ClockState()

    @property
    def now_ms(self) -> int:
        """Where the next chunk starts, if nothing is missing."""
        return self.state.next_sample // SAMPLES_PER_MS

    def place(self, chunk: AudioChunk) -> tuple[int, int]:
        """(start_sample, missing_samples): where the chunk starts, and how much before it never came."""
        samples = len(chunk.pcm) // 2
        captured = chunk.captured_at_ms if chunk.captured_at_ms is not None else chunk.admitted_at_ms
        missing = self._missing_samples(chunk, captured, samples)
        start = self.state.next_sample + missing
        self.state = ClockState(
            next_sample=start + samples,
            connection=chunk.connection,
            sequence=chunk.sequence,
            captured_end_ms=captured + samples // SAMPLES_PER_MS,
            admitted_at_ms=chunk.admitted_at_ms,
        )
        return start, missing

    def _missing_samples(self, chunk: AudioChunk, captured_ms: int, samples: int) -> int:
        last = self.state
        if last.captured_end_ms is None:
            return 0
        late_ms = captured_ms - last.captured_end_ms
        believed_ms = BURST_MS
        if last.admitted_at_ms is not None:
            believed_ms += max(0, chunk.admitted_at_ms - last.admitted_at_ms)
            late_ms = min(late_ms, believed_ms)
        by_capture = late_ms * SAMPLES_PER_MS if late_ms > JITTER_MS else 0
        if chunk.connection != last.connection or chunk.sequence is None or last.sequence is None:
            return by_capture
        skipped = max(0, chunk.sequence - last.sequence - 1)
        return max(min(skipped * samples, believed_ms * SAMPLES_PER_MS), by_capture)
