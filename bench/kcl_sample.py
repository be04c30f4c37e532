"""The Kinesis Client Library's own Python sample processor, under the same daemon with the same settings as ours.

    python -m bench.kcl_sample --runner kcl

For each batch that it has been given it writes a line `time count` into a file of $NOTES.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from amazon_kclpy.kcl import KCLProcess
from samples.sample_kclpy_app import RecordProcessor

from streams import kcl_daemon
from streams.program import ProgramSettings
from streams.settings import load
from streams.telemetry import Log
from tests.support.kcl_copier import SPEC


class Noted(RecordProcessor):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self._notes = (Path(os.environ["NOTES"]) / f"{os.getpid()}.notes").open("a", buffering=1)

    def process_records(self, process_records_input: Any) -> None:
        super().process_records(process_records_input)
        if process_records_input.records:
            self._notes.write(f"{time.time()} {len(process_records_input.records)}\n")


if __name__ == "__main__":
    if "--kcl-shard" in sys.argv:
        KCLProcess(Noted()).run()
    else:
        sys.exit(kcl_daemon.run(SPEC, load(ProgramSettings, os.environ), Log("sample")))
