"""The whole stack: how late its listeners hear, also at a long talk's end, and how much memory it takes.

What is our own of the latency in the demo, the whole of it with two sessions at once, by the real recogniser; memory
idle, and whether ten sessions of tones grow it. Their talk lasts HERALD_BENCH_MINUTES (default 10), the long one
HERALD_BENCH_LONG_MINUTES (default 3). Memory is PSS, so that what processes share counts once; each number is the
median of several readings, `spread` the least and the most.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from local import tones
from ops.audio_files import wav

OWN_BAR_MS = 170
END_TO_END_BAR_MS = 5_000
IDLE_BAR_MIB = 2_048
GROWTH_RATIO = 1.05
GROWTH_MIB = 20
"""Between the talk's second minute, when caches are full, and its end. A leak of two bytes per sample of ten sessions
would be 18 MiB a minute."""
SETTLED_MINUTES = 2.0
SESSIONS = 10
ROUNDS = 5
READINGS = 5
READING_EVERY_S = 1.0
LATER_BAR = 1.5
"""The last fifth of a long talk beside the first (medians); of work that piles up there is no bound."""
MINUTES = float(os.environ.get("HERALD_BENCH_MINUTES", "10"))
LONG_MINUTES = float(os.environ.get("HERALD_BENCH_LONG_MINUTES", "3"))
TONE_WORDS = 12
TONE_PAUSE_MS = 3_500
"""A tone lasts 0.3 s, and its name, as a voice reads it, 2.4 s: without pauses the speech of ten sessions would be more
than the one shard takes that carries it, and what grew would be the backlog."""
ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def up(folder: Path, engine: str, *more: str) -> Iterator[psutil.Process]:
    environment = {**os.environ, "HERALD_DIR": str(folder)}
    argv = [sys.executable, "-m", "ops", "up", "--port", "0", "--engine", engine, *more]
    process = subprocess.Popen(argv, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 90
        while not _is_ready(folder):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the stack did not start; see {folder}/logs")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _is_ready(folder: Path) -> bool:
    path = folder / "stack.json"
    return path.exists() and json.loads(path.read_text())["state"] == "ready"


def pss_mib(root: psutil.Process) -> float:
    """Of a process and all below it."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def readings_mib(root: psutil.Process) -> list[float]:
    """PSS, several times."""
    found = [pss_mib(root)]
    for _ in range(READINGS - 1):
        time.sleep(READING_EVERY_S)
        found.append(pss_mib(root))
    return found


def tone_recording(folder: Path) -> Path:
    """Most of a minute of numbered tones, a word an utterance: what the recogniser of tones can hear."""
    path = folder / "tones.wav"
    script = tones.Script([[1 + word] for word in range(TONE_WORDS)], pauses_ms=(TONE_PAUSE_MS,))
    path.write_bytes(wav(np.asarray(script.render())))
    return path


def talks(folder: Path, count: int, *arguments: str, during: Callable[[], None] = lambda: None) -> list[dict[str, Any]]:
    """So many demos at once on the running stack; their reports. during: called once they have been started."""
    environment = {**os.environ, "HERALD_DIR": str(folder)}
    running = []
    for number in range(count):
        out = folder / f"out-{number}"
        argv = [sys.executable, "-m", "ops", "demo", "--json", "--out", str(out), *arguments]
        running.append(
            subprocess.Popen(argv, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        )
    try:
        during()
        outputs = [process.communicate()[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    return [json.loads(output) for output in outputs]


def row(ours: Sequence[float], bar: float, unit: str) -> dict[str, Any]:
    """The median of ours. The bar is a fixed number: it stands in for a peer."""
    median = statistics.median(ours)
    return {
        "ours": round(median, 1),
        "peer": round(bar, 1),
        "unit": unit,
        "ratio": round(median / bar, 3),
        "bar": 1.0,
        "holds": median <= bar,
        "spread": [round(min(ours), 1), round(max(ours), 1)],
    }


def delays_ms(report: dict[str, Any]) -> list[float]:
    """From the end of a clause's words to its first sound at the listener, in the order of the talk."""
    found = next(iter(report["languages"].values()))["heard"]
    return [clause["at_ms"] - clause["end_ms"] for clause in sorted(found, key=lambda clause: clause["start_ms"])]


def run() -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="herald-bench-") as name:
        folder = Path(name)
        with up(folder, "pocketsphinx") as stack:
            idle = readings_mib(stack)
            alone, together = [], []
            for _ in range(ROUNDS):
                alone += talks(folder, 1)
                together += talks(folder, 2)
            delays = delays_ms(talks(folder, 1, "--minutes", str(LONG_MINUTES))[0])
        own = [report["hops_ms"]["pipeline_own"]["p95"] for report in alone]
        late = [report["hops_ms"]["end_to_end"]["p95"] for report in together]
        before, after, failed = _growth(folder)
    fifth = max(1, len(delays) // 5)
    first, last = delays[:fifth], delays[-fifth:]
    settled = statistics.median(before)
    return {
        "pipeline_own p95, the demo": row(own, OWN_BAR_MS, "ms"),
        "end_to_end p95, two sessions": row(late, END_TO_END_BAR_MS, "ms"),
        f"delay in the last fifth of {LONG_MINUTES:g} min": row(last, statistics.median(first) * LATER_BAR, "ms"),
        "stack idle, PSS": row(idle, IDLE_BAR_MIB, "MiB"),
        f"PSS at the end of {SESSIONS} sessions of {MINUTES:g} min": row(
            after, settled * GROWTH_RATIO + GROWTH_MIB, "MiB"
        ),
        f"talks of {SESSIONS} at once that did not come through": {
            "ours": failed,
            "peer": 0,
            "unit": "talks",
            "ratio": failed,
            "bar": 0,
            "holds": failed == 0,
        },
    }


def _growth(folder: Path) -> tuple[list[float], list[float], int]:
    """PSS in the second minute of a long talk of many, and in its last moments; of a shorter one, at a fifth of it.

    And how many of the talks did not come through: a chunk was refused, or a clause lost or heard twice.
    """
    before: list[float] = []
    after: list[float] = []
    settled_s = 60 * min(SETTLED_MINUTES, MINUTES / 5)
    with up(folder, "tones") as stack:

        def read() -> None:
            began = time.monotonic()
            time.sleep(settled_s)
            before.extend(readings_mib(stack))
            time.sleep(max(0.0, began + 60 * MINUTES - READINGS * READING_EVERY_S - time.monotonic()))
            after.extend(readings_mib(stack))

        recording = str(tone_recording(folder))
        reports = talks(folder, SESSIONS, "--audio", recording, "--minutes", str(MINUTES), during=read)
    failed = [
        report
        for report in reports
        if report["chunks"]["acknowledged"] != report["chunks"]["sent"] or report["lost"] or report["duplicated"]
    ]
    return before, after, len(failed)
