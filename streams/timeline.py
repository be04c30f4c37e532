"""A session's audio as its readers want it: in order, each chunk once, placed on the media clock. Pure.

Joins `ordering` and `media_clock`; every stage that reads audio goes through here, so that all of them place the same
sample at the same time.
"""

from typing import Final, NamedTuple

import msgspec

from streams.media_clock import SAMPLES_PER_MS, ClockState, MediaClock
from streams.ordering import Memory, Ordered, Ordering
from streams.records import AudioChunk
from streams.stage import Input, Position

PATIENT_BYTES: Final = 80_000
"""Half of what a session may hold (row T8): with more the driver reads no further for it."""


class Placed(NamedTuple):
    """A chunk on the media clock.

    start_sample, end_sample: its span, in samples of 16 kHz. missing_samples: what never came before it.
    """

    received: Input
    chunk: AudioChunk
    start_sample: int
    missing_samples: int

    @property
    def start_ms(self) -> int:
        """Where it starts."""
        return self.start_sample // SAMPLES_PER_MS

    @property
    def end_sample(self) -> int:
        """Where it ends."""
        return self.start_sample + len(self.chunk.pcm) // 2

    @property
    def end_ms(self) -> int:
        """Where it ends."""
        return self.end_sample // SAMPLES_PER_MS


class Passed(NamedTuple):
    """What a step let pass: chunks in order, positions of repeats, positions of chunks that came too late."""

    placed: list[Placed]
    repeated: list[Position]
    late: list[Position]


class Stub(msgspec.Struct):
    """A chunk that waits for earlier ones, without its sound: enough to give the ones after it their place.

    known_as: its identity, if it has no number.
    """

    connection: str
    samples: int
    admitted_at_ms: int
    sequence: int | None
    captured_at_ms: int | None
    written_ms: int
    known_as: int = 0


class TimelineState(Memory):
    """What a snapshot keeps. Chunks that were given and still wait are in it as stubs: they will not be given again."""

    clock: ClockState = msgspec.field(default_factory=ClockState)
    waiting: list[Stub] = msgspec.field(default_factory=list)


class Timeline:
    """One session's audio in order."""

    def __init__(self, state: TimelineState | None = None) -> None:
        state = state or TimelineState()
        self._clock = MediaClock(state.clock)
        self._ordering = Ordering(state)
        for stub in state.waiting:
            self._ordering.put_back(_as_input(stub), stub.known_as)

    def state(self) -> TimelineState:
        """What a snapshot keeps."""
        return TimelineState(
            **msgspec.structs.asdict(self._ordering.memory()),
            clock=self._clock.state,
            waiting=[_as_stub(*waiting) for waiting in self._ordering.waiting()],
        )

    @property
    def now_ms(self) -> int:
        """The media time that the audio has reached."""
        return self._clock.now_ms

    def held_bytes(self) -> int:
        """Audio that waits for earlier chunks."""
        return sum(len(_chunk(one).pcm) for one, _ in self._ordering.waiting() if one.position is not _STUB)

    def wake_at_ms(self) -> int | None:
        """When `release` has something to do."""
        return self._ordering.wake_at_ms()

    def on_held_up(self, now_ms: int) -> None:
        """The reader is held up: missing chunks may be among those that it has not seen.

        Unless what waits here for them is so much that no more will be read before it has gone on.
        """
        if self.held_bytes() <= PATIENT_BYTES:
            self._ordering.postpone(now_ms)

    def reopen(self) -> None:
        """The door was shut for a while: what is missing before the next chunk was refused there."""
        self._ordering.reopen()

    def push(self, received: Input, now_ms: int) -> Passed:
        """Take a chunk (an Input whose record is an AudioChunk)."""
        return self._place(self._ordering.push(received, now_ms))

    def release(self, now_ms: int, *, everything: bool = False) -> Passed:
        """Let pass what has waited long enough; `everything` at the end of a session."""
        return self._place(self._ordering.release(now_ms, everything=everything))

    def _place(self, ordered: Ordered) -> Passed:
        placed = []
        for received in ordered.ready:
            chunk = _chunk(received)
            start_sample, missing = self._clock.place(chunk)
            if received.position is not _STUB:
                placed.append(Placed(received, chunk, start_sample, missing))
        return Passed(
            placed,
            [received.position for received in ordered.repeated],
            [received.position for received in ordered.late],
        )


_STUB: Final = Position("", 0)
"""The position of an input that stands for a chunk which was settled before the restore."""


def _as_stub(received: Input, known_as: int) -> Stub:
    chunk = _chunk(received)
    return Stub(
        connection=chunk.connection,
        samples=len(chunk.pcm) // 2,
        admitted_at_ms=chunk.admitted_at_ms,
        sequence=chunk.sequence,
        captured_at_ms=chunk.captured_at_ms,
        written_ms=received.written_ms,
        known_as=known_as,
    )


def _as_input(stub: Stub) -> Input:
    chunk = AudioChunk(
        session_id="",
        connection=stub.connection,
        admitted_at_ms=stub.admitted_at_ms,
        pcm=bytes(2 * stub.samples),
        sequence=stub.sequence,
        captured_at_ms=stub.captured_at_ms,
    )
    return Input(_STUB, chunk, stub.written_ms, stub.written_ms)


def _chunk(received: Input) -> AudioChunk:
    assert isinstance(received.record, AudioChunk)
    return received.record
