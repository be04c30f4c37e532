"""Writes talks of numbered words (`local.tones`) for programs that may not know the twins' inside.

    python -m local.say FILE.wav < script.json

The script: `{"utterances": [[1, 2], [3]], "gap_ms": 60, "pauses_ms": [1000]}`. Answers on stdout, in the order of
speech, `[{"number": 1, "start_ms": 200, "end_ms": 497}, ...]`, times being those of the file.
"""

from __future__ import annotations

import argparse
import sys
import wave
from pathlib import Path

import msgspec

from local import tones


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be said, as in `local.tones.Script`."""

    utterances: list[list[int]]
    gap_ms: int = tones.GAP_MS
    pauses_ms: tuple[int, ...] = (1000,)


def say(wish: Wish, path: Path) -> list[tones.DecodedWord]:
    """Write the WAV (16 kHz, mono, 16 bits); its words and their times. Raises ValueError for what can't be coded."""
    script = tones.Script(wish.utterances, gap_ms=wish.gap_ms, pauses_ms=wish.pauses_ms)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(tones.SAMPLE_RATE_HZ)
        file.writeframes(script.render().astype("<i2").tobytes())
    return script.words


def main() -> int:
    """Read, write, answer; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.say", description="Write a talk of numbered words.")
    parser.add_argument("file", type=Path, help="the WAV to write")
    path = parser.parse_args().file
    try:
        words = say(msgspec.json.decode(sys.stdin.buffer.read(), type=Wish), path)
    except (ValueError, OSError) as error:  # msgspec's errors are ValueErrors too
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(msgspec.json.encode(words).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
