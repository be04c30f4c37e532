"""The whole stack: how late its listeners hear, and how much memory it takes.

Latency with two sessions at once and the real recogniser; memory idle, and whether ten sessions grow it. Their talk
lasts HERALD_BENCH_MINUTES (default 10). Memory is PSS, so that what processes share counts once.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

OWN_BAR_MS = 170
END_TO_END_BAR_MS = 5_000
IDLE_BAR_MIB = 2_048
GROWTH_BAR = 1.25
"""Caches fill and allocators keep what they had; a leak of a byte per sample would be ten times this."""
SESSIONS = 10
ROUNDS = 5
MINUTES = float(os.environ.get("HERALD_BENCH_MINUTES", "10"))
ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def up(folder: Path, engine: str) -> Iterator[psutil.Process]:
    environment = {**os.environ, "HERALD_DIR": str(folder)}
    argv = [sys.executable, "-m", "ops", "up", "--port", "0", "--engine", engine]
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


def talks(folder: Path, count: int, *arguments: str) -> list[dict[str, Any]]:
    """So many demos at once on the running stack; their reports."""
    environment = {**os.environ, "HERALD_DIR": str(folder)}
    running = []
    for number in range(count):
        out = folder / f"out-{number}"
        argv = [sys.executable, "-m", "ops", "demo", "--json", "--out", str(out), *arguments]
        running.append(
            subprocess.Popen(argv, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        )
    try:
        outputs = [process.communicate()[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    return [json.loads(output) for output in outputs]


def row(ours: float, bar: float, unit: str) -> dict[str, Any]:
    """The bar is a fixed number: it stands in for a peer."""
    return {
        "ours": round(ours, 1),
        "peer": bar,
        "unit": unit,
        "ratio": round(ours / bar, 3),
        "bar": 1.0,
        "holds": ours <= bar,
    }


def run() -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="herald-bench-") as name:
        folder = Path(name)
        with up(folder, "pocketsphinx") as stack:
            idle = pss_mib(stack)
            reports = [report for _ in range(ROUNDS) for report in talks(folder, 2)]
        own = [report["hops_ms"]["pipeline_own"]["p95"] for report in reports]
        late = [report["hops_ms"]["end_to_end"]["p95"] for report in reports]
        with up(folder, "tones") as stack:
            talks(folder, SESSIONS, "--minutes", "0.2")  # what is loaded once, and caches
            before = pss_mib(stack)
            talks(folder, SESSIONS, "--minutes", str(MINUTES))
            after = pss_mib(stack)
    return {
        "pipeline_own p95, two sessions": row(statistics.median(own), OWN_BAR_MS, "ms"),
        "end_to_end p95, two sessions": row(statistics.median(late), END_TO_END_BAR_MS, "ms"),
        "stack idle, PSS": row(idle, IDLE_BAR_MIB, "MiB"),
        f"PSS after {SESSIONS} sessions of {MINUTES:g} min": row(after, round(before * GROWTH_BAR, 1), "MiB"),
    }
