"""Row S6, issue 4's point 6: a thousand records of ten kinds that nobody should have written, among good ones; and what
was refused is processed after the fix."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp

from local import tones
from ops import tokens
from ops.audit.rules import audit
from ops.listener import Listener
from ops.paths import PROJECT
from ops.speaker import Speaker
from streams.records import VERSION, Transcript, Word, encode
from tests.e2e import stored
from tests.e2e.poison import hold, ids_of_letters, letters
from tests.e2e.whole_stack import WholeStack, described

BOUND_MS: Final = 60_000
"""Generous: this is no measurement, and a busy machine is slow with and without poison."""
KEPT_WITHIN_S: Final = 60.0
"""Each stage keeps them one after another."""
FIXED: Final = (
    "import runpy, streams.records as records; records.VERSION += 1;"
    " runpy.run_module('stages.translate', run_name='__main__')"
)
"""The next release of a stage: it reads a version more."""


async def test_a_thousand_poison_records_harm_nobody_and_are_kept(tone_stack: WholeStack) -> None:
    script = tones.Script([[20_000 + 5 * u + w for w in range(5)] for u in range(5)])
    said = [word.number for word in script.words]
    held = await hold(tone_stack, script, ["es", "en"], poisoned=True)

    assert held.words == {"es": said, "en": said}
    assert held.told
    assert max(held.delays_ms()) < BOUND_MS

    dynamo = stored.client(tone_stack.environment, "dynamodb")
    deadline = time.monotonic() + KEPT_WITHIN_S
    while missing := held.refused.keys() - await asyncio.to_thread(ids_of_letters, dynamo):
        assert time.monotonic() < deadline, f"{len(missing)} of {len(held.refused)} not kept"
        await asyncio.sleep(0.5)
    kept = await asyncio.to_thread(letters, dynamo)
    assert {its_id: kept[its_id] for its_id in held.refused} == held.refused
    assert len(held.refused) > 1000  # those of the audio stream are two stages'

    found = audit(held.evidence)
    assert {finding.code for finding in found.findings} == {"dead_letter"}
    for language in ("es", "en"):
        account = found.languages[language]
        assert (account.lost, account.duplicated, account.reordered, account.spoken) == (0, 0, 0, account.wanted)
    assert found.sound.unheard_ms == 0


class Redriven:
    """A session whose transcripts the running release cannot read, and a listener who waits for them."""

    def __init__(self, stack: WholeStack, session_id: str, listener: Listener) -> None:
        self.stack, self.session_id, self.listener = stack, session_id, listener

    def herald(self, *argv: str) -> dict[str, Any]:
        process = self.stack.herald("dlq", *argv, "--json", "--session", self.session_id)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    async def letters(self, number: int) -> list[dict[str, Any]]:
        """As many as there must be."""
        async with asyncio.timeout(60):
            while True:
                found = await asyncio.to_thread(self.herald, "ls")
                if len(found["letters"]) >= number:
                    letters: list[dict[str, Any]] = found["letters"]
                    return letters

    async def heard(self, number: int) -> list[int]:
        async with asyncio.timeout(60):
            while len(self.listener.ear.heard) < number:
                await asyncio.sleep(0.1)
        return [n for clause in self.listener.ear.heard for n in tones.numbers_in(clause.text.lower())]


def clause(session_id: str, number: int) -> Transcript:
    start_ms = 1000 * number
    text = tones.text_of(number)
    return Transcript(
        session_id=session_id,
        utterance_id=f"{session_id}:{start_ms}",
        status="clause",
        source_language="en-US",
        transcript_text=text,
        words=[Word(text, start_ms, start_ms + 300)],
        start_ms=start_ms,
        end_ms=start_ms + 300,
        clause=0,
        revision=1,
        stability_score=1.0,
        timestamp=0,
        v=VERSION + 1,
    )


async def test_what_was_refused_is_heard_after_the_fix(tone_stack: WholeStack) -> None:
    found = described(tone_stack)
    numbers = list(range(1, 6))
    async with AsyncExitStack() as opened:
        session = await opened.enter_async_context(aiohttp.ClientSession())
        token = tokens.token(found, "somebody")
        speaker = await opened.enter_async_context(await Speaker.create(session, found.url, token))
        joined = await Listener.join(session, found.url, speaker.session_id, "es", lambda: None)
        it = Redriven(tone_stack, speaker.session_id, await opened.enter_async_context(joined))
        kinesis = stored.client(tone_stack.environment, "kinesis")
        for number in numbers:
            data = encode(clause(speaker.session_id, number))
            kinesis.put_record(StreamName="herald-transcripts", Data=data, PartitionKey=speaker.session_id)

        kept = await it.letters(5)
        assert {letter["code"] for letter in kept} == {"NewerVersion"}
        assert len(it.herald("redrive", "--all")["sent"]) == 5
        back = [letter for letter in await it.letters(10) if letter["before"]]  # nothing has been mended yet
        assert [letter["before"] for letter in back] == [[letter["id"]] for letter in kept]
        assert {letter["attempts"] for letter in back} == {2}
        assert it.listener.ear.heard == []

        with fixed(tone_stack):
            assert len(it.herald("redrive", "--all")["sent"]) == 5
            assert await it.heard(5) == numbers
            assert it.herald("redrive", "--all")["sent"] == []
            assert len(await it.letters(10)) == 10
            await speaker.end()
            async with asyncio.timeout(60):
                await it.listener.ended.wait()
            assert len(it.listener.ear.heard) == 5


class fixed:  # noqa: N801 - reads as what it is
    """For the time of the block, the stack's translate is the next release."""

    def __init__(self, stack: WholeStack) -> None:
        self._stack = stack

    def __enter__(self) -> None:
        self._stack.kill("translate")
        environment = os.environ | self._stack.environment | {"HERALD_WORKER_ID": "translate-1"}
        argv = [sys.executable, "-c", FIXED, "--die-with-parent"]
        self._process = subprocess.Popen(
            argv, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready translate\n"

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        finally:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
        self._stack.restart("translate")
