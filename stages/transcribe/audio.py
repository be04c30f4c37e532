"""The audio of one session that may have to be fed to a recogniser (again): all that is not `Done`. Pure.

Besides the media clock there is the *offset*: samples that this stage really has, counted without the gaps of the
media clock. A recogniser is fed by offset.
"""

from bisect import bisect_right
from typing import Final, NamedTuple

from streams import times
from streams.records import BYTES_PER_MS
from streams.stage import Position
from streams.timeline import Placed

BYTES_PER_SAMPLE: Final = 2
SAMPLES_PER_MS: Final = BYTES_PER_MS // BYTES_PER_SAMPLE


class Piece(NamedTuple):
    """A chunk, and the offset of its first sample."""

    placed: Placed
    offset: int

    @property
    def end_offset(self) -> int:
        """The offset after its last sample."""
        return self.offset + len(self.placed.chunk.pcm) // BYTES_PER_SAMPLE


class Block(NamedTuple):
    """Contiguous audio to feed. media_start: in samples on the media clock. at_gap: the media clock jumps after it."""

    pcm: bytes
    media_start: int
    at_gap: bool

    @property
    def samples(self) -> int:
        """Its length."""
        return len(self.pcm) // BYTES_PER_SAMPLE


class RetainedAudio:
    """Chunks in order, from the first that is not done."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self.end_offset = 0
        """The offset after the newest sample."""
        self.end_media = 0
        """Where the newest sample ends on the media clock, in samples."""

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def start_offset(self) -> int:
        """The offset of the oldest sample kept."""
        return self._pieces[0].offset if self._pieces else self.end_offset

    def append(self, placed: Placed) -> None:
        """Add the next chunk."""
        piece = Piece(placed, self.end_offset)
        self._pieces.append(piece)
        self.end_offset = piece.end_offset
        self.end_media = placed.end_sample

    def settle(self, upto_media: int) -> list[Position]:
        """Let go of the chunks that end at or before this sample of the media clock; their positions."""
        count = 0
        while count < len(self._pieces) and self._pieces[count].placed.end_sample <= upto_media:
            count += 1
        settled = [piece.placed.received.position for piece in self._pieces[:count]]
        del self._pieces[:count]
        return settled

    def read(self, offset: int, max_samples: int) -> Block | None:
        """Up to max_samples from the offset on, no further than the next gap; None when there is none."""
        if offset >= self.end_offset:
            return None
        i = self._index_at(offset)
        first = self._pieces[i]
        media_start = first.placed.start_sample + offset - first.offset
        parts: list[bytes] = []
        missing = max_samples
        edge = first.placed.start_sample
        at_gap = False
        while i < len(self._pieces) and missing > 0:
            piece = self._pieces[i]
            if piece.placed.start_sample != edge:
                at_gap = True
                break
            skip = max(0, offset - piece.offset)
            pcm = piece.placed.chunk.pcm[skip * BYTES_PER_SAMPLE : (skip + missing) * BYTES_PER_SAMPLE]
            parts.append(pcm)
            missing -= len(pcm) // BYTES_PER_SAMPLE
            edge = piece.placed.end_sample
            i += 1
        return Block(b"".join(parts), media_start, at_gap)

    def times_at(self, media_ms: int) -> dict[str, int]:
        """When the chunk that holds the sound just before this media time passed each hop, in Unix milliseconds."""
        if not self._pieces:
            return {}
        sample = media_ms * SAMPLES_PER_MS - 1
        i = bisect_right(self._pieces, sample, key=lambda piece: piece.placed.start_sample) - 1
        return _hops(self._pieces[max(0, i)].placed)

    def _index_at(self, offset: int) -> int:
        return max(0, bisect_right(self._pieces, offset, key=lambda piece: piece.offset) - 1)


def _hops(placed: Placed) -> dict[str, int]:
    chunk = placed.chunk
    hops = {
        times.ADMITTED: chunk.admitted_at_ms,
        times.AUDIO_WRITTEN: placed.received.written_ms,
        times.TRANSCRIBE_READ: placed.received.read_ms,
    }
    if chunk.captured_at_ms is not None:
        hops[times.CAPTURED] = chunk.captured_at_ms
    return hops
