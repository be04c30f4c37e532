"""Whatever the recogniser does: every word once, where it was said (rows T4 to T7)."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from local import tones
from ops import tokens
from ops.audio_files import read
from ops.listener import Listener
from ops.speaker import Speaker
from tests.e2e.whole_stack import WholeStack, described, finished, tone_talk, words_heard

QUIET_S = 17.0
"""The service ends a stream that gets nothing for 15 s."""
FRAMES = 18
"""Of 100 ms: in the midst of an utterance."""


def fault(kind: str, code: str = "", count: int = 1, after_frames: int = FRAMES) -> dict[str, object]:
    return {"kind": kind, "code": code, "count": count, "after_frames": after_frames}


FAULTS = [
    fault("partial"),  # an end that looks like success
    fault("error", "InternalFailureException"),
    fault("throttle"),
    fault("throttle", count=2, after_frames=0),
    fault("cut", "RST_STREAM"),
    fault("cut"),
    fault("error", "BadRequestException"),
    fault("error", "ServiceUnavailableException", after_frames=0),
    fault("half_open"),  # takes audio and never answers
]


def test_every_way_in_which_a_stream_can_fail_costs_no_word(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 15_000, 9, words=6)
    streams = tone_stack.recogniser_streams()
    with tone_stack.recogniser_faults(*FAULTS):
        report = tone_stack.demo("--audio", str(tmp_path / "talk.wav"), "--to", "es")

    assert tone_stack.recogniser_streams() - streams > len(FAULTS)
    assert words_heard(report, "es") == said
    assert (report["lost"], report["duplicated"], report["reordered"], report["skipped"]) == (0, 0, 0, 0)
    assert report["unheard_ms"] == 0  # the media clock did not jump
    assert all(tones.numbers_in(one["text"].lower()) for one in report["said"])  # a failure is never text


def test_real_speech_goes_on_when_its_streams_end_unasked(speech_stack: WholeStack) -> None:
    recordings = [f"tests/recordings/austen-08{number}.wav" for number in (70, 80, 90)]
    cut_off = [fault("partial", after_frames=40), fault("cut", after_frames=40)]
    with speech_stack.recogniser_faults(*cut_off):
        faulty = speech_stack.start_demo("--to", "es", "--gap", "1", "--audio", *recordings)
        report = finished(faulty)
    whole = speech_stack.demo("--to", "es", "--gap", "1", "--audio", *recordings)

    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)
    assert covered_ms(report) > 0.9 * covered_ms(whole)


def covered_ms(report: dict[str, Any]) -> int:
    return sum(one["end_ms"] - one["start_ms"] for one in report["said"])


async def test_a_speaker_who_sends_nothing_for_a_while_is_heard_again_at_the_right_time(
    tone_stack: WholeStack, tmp_path: Path
) -> None:
    said = tone_talk(tmp_path / "talk.wav", 16_000, 1)
    more = tone_talk(tmp_path / "more.wav", 16_100, 1)
    stack = described(tone_stack)
    token = await asyncio.to_thread(tokens.token, stack, "somebody")
    async with (
        aiohttp.ClientSession() as session,
        await Speaker.create(session, stack.url, token) as speaker,
        await Listener.join(session, stack.url, speaker.session_id, "es", lambda: None) as listener,
    ):
        streams = tone_stack.recogniser_streams()
        await speaker.speak(read(tmp_path / "talk.wav").pcm)
        quiet = asyncio.get_running_loop().time()
        await asyncio.sleep(QUIET_S)
        paused_ms = (asyncio.get_running_loop().time() - quiet) * 1_000
        await speaker.speak(read(tmp_path / "more.wav").pcm)
        await speaker.answers()
        await speaker.end()
        await listener.ended.wait()
        opened = tone_stack.recogniser_streams() - streams
    heard = [
        (number, clause.start_ms) for clause in listener.ear.heard for number in tones.numbers_in(clause.text.lower())
    ]
    assert [number for number, _ in heard] == [*said, *more]
    talk_ms = len(read(tmp_path / "talk.wav").pcm) // 16
    first_start_ms = next(start_ms for number, start_ms in heard if number == more[0])
    assert abs(first_start_ms - (talk_ms + paused_ms + 200)) < 250
    assert opened <= 2  # one, kept alive, and a planned successor
