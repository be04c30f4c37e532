"""`herald demo`: a speaker, a listener per language, and what became of every word."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import msgspec

from ops import report as reports
from ops import stack_file, tokens
from ops.account import audible_ms, unheard_ms
from ops.audio_files import Pcm, Recording, Talk, join, read, wav
from ops.children import LOOK_EVERY_S, end_with_parent, program
from ops.errors import CommandError
from ops.listener import Listener
from ops.observed import Observed, observing
from ops.page import page
from ops.parts import Options
from ops.paths import PROJECT, STATE_VARIABLE, Paths, shown
from ops.report import Report
from ops.sound import placed
from ops.speaker import Speaker, now_ms
from ops.stack_file import Stack
from ops.supervisor import free_port, tell
from ops.verdict import shortcomings

RECORDINGS: Final = PROJECT / "tests" / "recordings"
UP_WITHIN_S: Final = 90.0
KCL_UP_WITHIN_S: Final = 180.0
DELIVERED_WITHIN_S: Final = 120.0
"""From the end of the talk to the last listener's `sessionEnded`; engines may be far behind on a busy machine."""


class Wish(NamedTuple):
    """What the demo was asked for."""

    audio: list[Path]
    languages: list[str]
    listeners: int = 1
    gap_s: float | None = None
    minutes: float | None = None
    out: Path = Path("demo-out")
    as_json: bool = False
    port: int | None = None
    engine: str = "pocketsphinx"
    shards: int = 1
    runner: str = "embedded"


class Outcome(NamedTuple):
    """What a talk left. first_sound_s: from the first chunk to the first speech at any listener."""

    speaker: Speaker
    listeners: dict[str, list[Listener]]
    first_sound_s: float | None
    observed: Observed


def languages(text: str) -> list[str]:
    """The languages of `--to`. Raises CommandError when there are none."""
    found = list(dict.fromkeys(code.strip() for code in text.split(",") if code.strip()))
    if not found:
        raise CommandError("--to wants languages, such as: --to es,ca")
    return found


async def run(wish: Wish, paths: Paths) -> int:
    """Do it all; the exit code: 0 when the talk came through (`ops.verdict`)."""
    began = time.monotonic()
    recordings = [read(path) for path in wish.audio or sorted(RECORDINGS.glob("*.wav"))]
    if not recordings:
        raise CommandError(f"there are no recordings in {shown(RECORDINGS)}; name some with --audio")
    for recording in recordings:
        if recording.converted:
            tell(f"{recording.file}: {', '.join(recording.converted)}")
    recordings = _repeated(recordings, wish)
    talk = join(recordings, wish.gap_s)
    async with a_stack(wish, paths) as stack:
        tell(f"speaking {len(talk.pcm) / 16000:.1f} s to listeners in {', '.join(wish.languages)}")
        outcome = await hold(stack, talk, wish, began)
    report = leave(wish, recordings, talk, outcome, time.monotonic() - began)
    if wish.as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        sys.stdout.write(reports.text(report))
    sys.stdout.flush()
    found = list(shortcomings(report, stack.engine))
    for sentence in found:
        tell(f"herald: {sentence}")
    return 1 if found else 0


def _repeated(recordings: list[Recording], wish: Wish) -> list[Recording]:
    if wish.minutes is None:
        return recordings
    wanted = int(wish.minutes * 60 * 16000)
    longer = list(recordings)
    while len(join(longer, wish.gap_s).pcm) < wanted:
        longer += recordings
    return longer


@contextlib.asynccontextmanager
async def a_stack(wish: Wish, paths: Paths) -> AsyncIterator[Stack]:
    """The stack that runs; or one of our own, as long as this lasts."""
    found = stack_file.read(paths)
    if found is not None:
        yield await _until_ready(paths, lambda: None, KCL_UP_WITHIN_S)
        return
    options = Options(
        port=wish.port if wish.port else free_port(), engine=wish.engine, shards=wish.shards, runner=wish.runner
    )
    async with own_stack(options, paths) as stack:
        yield stack


@contextlib.asynccontextmanager
async def own_stack(options: Options, paths: Paths) -> AsyncIterator[Stack]:
    """A stack that lives as long as this lasts, in the state folder `paths`. Raises CommandError."""
    argv = program("ops", "up", "--port", str(options.port), "--engine", options.engine, "--runner", options.runner)
    argv += ["--shards", str(options.shards), *(["--proxies"] if options.proxies else [])]
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,  # a terminal's Ctrl-C reaches only the demo, which stops it
        preexec_fn=end_with_parent,  # however the demo ends
        cwd=PROJECT,
        env={**os.environ, STATE_VARIABLE: str(paths.state)},
    )
    try:
        within_s = KCL_UP_WITHIN_S if options.runner == "kcl" else UP_WITHIN_S
        yield await _until_ready(paths, lambda: process.returncode, within_s)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        await process.wait()


async def _until_ready(paths: Paths, ended: Callable[[], int | None], within_s: float) -> Stack:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = stack_file.read(paths)
        if found is not None and found.state == "ready":
            return found
        if ended() is not None:
            raise CommandError("the stack could not be started; see above")
        await asyncio.sleep(LOOK_EVERY_S)
    raise CommandError(f"the stack was not ready after {within_s:.0f} s; see {shown(paths.log('gateway').parent)}")


async def hold(stack: Stack, talk: Talk, wish: Wish, began: float) -> Outcome:
    """Hold the talk: connect everybody, speak, wait until the last listener has been told that it is over."""
    first: list[float] = []

    def on_sound() -> None:
        if not first:
            first.append(time.monotonic() - began)
            tell(f"first sound {first[0]:.1f} s after the start")

    token = await asyncio.to_thread(tokens.token, stack, "demo")
    async with contextlib.AsyncExitStack() as open_things:
        session = await open_things.enter_async_context(aiohttp.ClientSession())
        since_ms = now_ms()
        speaker = await open_things.enter_async_context(await Speaker.create(session, stack.url, token))
        observer = await open_things.enter_async_context(observing(stack, speaker.session_id, since_ms))
        listeners: dict[str, list[Listener]] = {}
        for code in wish.languages:
            for _ in range(wish.listeners):
                joined = await Listener.join(session, stack.url, speaker.session_id, code, on_sound)
                listeners.setdefault(code, []).append(await open_things.enter_async_context(joined))
        await speaker.speak(talk.pcm)
        await speaker.answers()
        await speaker.end()
        await _delivered([each for several in listeners.values() for each in several])
        observed = await observer.finished()
    return Outcome(speaker, listeners, round(first[0], 2) if first else None, observed)


async def _delivered(listeners: list[Listener]) -> None:
    try:
        async with asyncio.timeout(DELIVERED_WITHIN_S):
            await asyncio.gather(*(listener.ended.wait() for listener in listeners))
    except TimeoutError:
        return  # who was not told shows in the report


def leave(wish: Wish, recordings: list[Recording], talk: Talk, outcome: Outcome, wall_s: float) -> Report:
    """Write the sound of each language, the report and the page into the folder."""
    wish.out.mkdir(parents=True, exist_ok=True)
    speaker, observed = outcome.speaker, outcome.observed
    found: dict[str, reports.Language] = {}
    sounds: dict[str, Pcm] = {}
    ears = {code: [listener.ear for listener in several] for code, several in outcome.listeners.items()}
    for code, several in ears.items():
        sounds[code], _ = placed(several[0].heard, speaker.started_ms)
        path = wish.out / f"{code}.wav"
        path.write_bytes(wav(sounds[code]))
        found[code] = reports.language(code, several, observed, speaker.started_ms, str(path))
    (wish.out / "talk.wav").write_bytes(wav(talk.pcm))
    account = reports.accounts(observed, ears)
    report = Report(
        session_id=speaker.session_id,
        audio=[reports.Audio(recording.file, recording.duration_ms) for recording in recordings],
        chunks=reports.Chunks(speaker.sent, speaker.acknowledged, sum(speaker.refused.values()), speaker.resent),
        said=reports.said(observed),
        languages=found,
        lost=account.lost,
        duplicated=account.duplicated,
        reordered=account.reordered,
        skipped=account.skipped,
        audible_ms=audible_ms(talk.pcm),
        unheard_ms=unheard_ms(talk.pcm, observed.transcripts),
        not_told=sum(not listener.told for several in outcome.listeners.values() for listener in several),
        hops_ms=reports.hops(observed),
        wall_s=round(wall_s, 2),
        first_sound_s=outcome.first_sound_s,
        page=str(wish.out / "index.html"),
    )
    rows = [(f"{r.language} {r.start_ms / 1000:.1f} s", r.times_ms) for r in reports.moments(observed)]
    (wish.out / "index.html").write_text(page(report, talk.pcm, sounds, rows), encoding="utf-8")
    (wish.out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return report
