"""The copying stage as a program under any runner, for measurements: `python -m tests.support.kcl_copier --runner kcl`.

COPIES=0 makes it a sink: records are decoded, stepped and settled, and nothing is written.
"""

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import msgspec

from streams.program import StageDefinition, main
from streams.resources import StageSpec
from streams.stage import Done, Effect, Input, StageBuilder
from tests.support.copy_stage import CopyStage

NOTE_EVERY = 60


class Settings(msgspec.Struct, frozen=True):
    copies: int = 1


class Sink(CopyStage):
    """Writes a line `time count` into a file of $NOTES for every NOTE_EVERY records of its process."""

    _count = 0
    _notes: TextIO | None = None

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        Sink._count += 1
        if Sink._count % NOTE_EVERY == 0:
            if Sink._notes is None:
                Sink._notes = (Path(os.environ["NOTES"]) / f"{os.getpid()}.notes").open("a", buffering=1)
            Sink._notes.write(f"{time.time()} {NOTE_EVERY}\n")
        yield Done(received.position)


def build(settings: Settings) -> StageBuilder:
    return CopyStage if settings.copies else Sink


async def services(*_: Any) -> list[Any]:
    return []


SPEC = StageSpec("copy", "audio", "transcripts")  # type: ignore[arg-type]

if __name__ == "__main__":
    sys.exit(main(StageDefinition(SPEC, Settings, build, services)))
