"""A whole stack of a test's own: `herald up` with its own state folder and port, ended with the test."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from local import tones
from ops.audio_files import wav
from ops.paths import PROJECT
from ops.stack_file import Stack

READY_WITHIN_S = 150.0
DEMO_WITHIN_S = 240.0
LOOK_EVERY_S = 0.1
LEASE_S = 4
"""Of the stack with tones, so that a lease's end need not be waited for so long; the default is 10."""


class WholeStack:
    """Runs `herald up` in `folder`. settings: of its programs, by the name of the variable."""

    def __init__(
        self,
        folder: Path,
        engine: str,
        shards: int = 1,
        settings: dict[str, str] | None = None,
        runner: str = "embedded",
    ) -> None:
        self.folder = folder
        self._environment = {**os.environ, **(settings or {}), "HERALD_DIR": str(folder / "state")}
        argv = [sys.executable, "-m", "ops", "up", "--port", "0", "--engine", engine, "--shards", str(shards)]
        argv += ["--runner", runner]
        with (folder / "up.log").open("wb") as log:
            self._process = subprocess.Popen(argv, cwd=PROJECT, env=self._environment, stderr=log)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                if self.described()["state"] == "ready":
                    return
            except FileNotFoundError:
                pass
            time.sleep(LOOK_EVERY_S)
        raise AssertionError((self.folder / "up.log").read_text())

    def described(self) -> dict[str, Any]:
        """stack.json."""
        found: dict[str, Any] = json.loads((self.folder / "state" / "stack.json").read_text())
        return found

    @property
    def environment(self) -> dict[str, str]:
        """What `herald env` exports."""
        found: dict[str, str] = self.described()["environment"]
        return found

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        finally:
            self._process.kill()
            self._process.wait()

    def kill_supervisor(self) -> None:
        self._process.kill()
        self._process.wait()

    def herald(self, *arguments: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "ops", *arguments]
        return subprocess.Popen(
            argv, cwd=PROJECT, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def start_demo(self, *arguments: str) -> subprocess.Popen[str]:
        out = self.folder / f"out-{time.monotonic_ns()}"
        return self.herald("demo", "--json", "--out", str(out), *arguments)

    def demo(self, *arguments: str) -> dict[str, Any]:
        return finished(self.start_demo(*arguments))

    def calls(self, part: str, operation: str) -> int:
        with urllib.request.urlopen(f"{self.described()['parts'][part]['url']}/_herald/calls") as answer:
            counts = json.load(answer)
        return int(counts.get(operation, {}).get("calls", 0))

    def recogniser_streams(self) -> int:
        """How many streams the recogniser has had."""
        with urllib.request.urlopen(f"{self.environment['HERALD_TRANSCRIBE_CONTROL_URL']}/_herald/calls") as answer:
            counts = json.load(answer)
        return int(counts["StartStreamTranscription"]["calls"])

    def pairs(self) -> set[str]:
        """The pairs of languages that the translator was asked for, as in `en-es`."""
        with urllib.request.urlopen(f"{self.described()['parts']['translate-twin']['url']}/_herald/calls") as answer:
            counts = json.load(answer)["TranslateText"]
        return {name.removeprefix("calls.") for name in counts if name.startswith("calls.")}

    @contextmanager
    def recogniser_faults(self, *faults: dict[str, object]) -> Iterator[None]:
        """Let streams that are opened from now on go wrong (`local.faults`)."""
        url = f"{self.environment['HERALD_TRANSCRIBE_CONTROL_URL']}/_herald/faults"
        put = urllib.request.Request(url, data=json.dumps(faults).encode(), method="PUT")
        try:
            urllib.request.urlopen(put, timeout=10).close()
            yield
        finally:
            urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10).close()

    def signal(self, part: str, number: signal.Signals) -> None:
        os.kill(self.described()["parts"][part]["pid"], number)

    def kill(self, part: str) -> None:
        self.signal(part, signal.SIGKILL)

    def restart(self, part: str) -> None:
        """Returns when the part is ready again."""
        asked = self.herald("restart", part)
        try:
            out, err = asked.communicate(timeout=60)
        finally:
            asked.kill()
            asked.wait()
        assert asked.returncode == 0, out + err


def described(stack: WholeStack) -> Stack:
    """stack.json, as the command reads it."""
    return msgspec.convert(stack.described(), Stack)


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    """A demo's report; its exit code must be 0."""
    try:
        out, err = process.communicate(timeout=DEMO_WITHIN_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err + out[-2000:]
    found: dict[str, Any] = json.loads(out)
    return found


def wait_for_first_sound(demo: subprocess.Popen[str]) -> None:
    """Return when the talk is under way and its first translation was heard."""
    assert demo.stderr is not None
    for line in demo.stderr:
        if line.startswith("first sound"):
            return
    raise AssertionError("the demo ended before anything was heard")


def words_heard(report: dict[str, Any], language: str) -> list[int]:
    """The tone words that a listener heard, in order."""
    texts = [clause["text"] for clause in report["languages"][language]["heard"]]
    return [number for text in texts for number in tones.numbers_in(text.lower())]


def words_shown(report: dict[str, Any], language: str) -> list[int]:
    """The tone words that a listener could read in the end, in order."""
    last = {caption["utterance_id"]: caption["text"] for caption in report["languages"][language]["captions"]}
    return [number for text in last.values() for number in tones.numbers_in(text.lower())]


def tone_talk(path: Path, first: int, utterances: int, words: int = 5, level_db: float = 0.0) -> list[int]:
    """Write a talk of numbered words; returns the numbers."""
    said = [[first + u * words + w for w in range(words)] for u in range(utterances)]
    path.write_bytes(wav(np.asarray(tones.Script(said).render(level_db=level_db))))
    return [number for utterance in said for number in utterance]
