from __future__ import annotations

import io

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from local.polly.espeak import MAX_WPM, MIN_WPM, NORMAL_WPM, Espeak, EspeakError
from local.polly.score import Failed, Job, Rest, Spoken, Utter
from local.polly.worker import LENGTH, assemble, in_child, pitch, serve, speeds

HZ = 22_050


@pytest.fixture(scope="module")
def espeak() -> Espeak:
    return Espeak()


def say(text: str = "one two three", **more: object) -> Utter:
    return Utter(**{"text": text, "voice": "en-us", "rate": 1.0, "pitch_percent": 0.0, "gain_db": 0.0, **more})  # type: ignore[arg-type] # keywords by name


def samples(spoken: Spoken) -> npt.NDArray[np.float64]:
    return np.frombuffer(spoken.pcm, "<i2").astype(float)


def frames(*bodies: bytes) -> bytes:
    return b"".join(LENGTH.pack(len(body)) + body for body in bodies)


def ones(seconds: float, value: int = 10_000) -> tuple[bytes, tuple[tuple[int, int, int], ...]]:
    return np.full(round(seconds * HZ), value, "<i2").tobytes(), ((0, 3, 0),)


@pytest.mark.parametrize(
    ("rate", "wpm", "factor"),
    [
        (1.0, NORMAL_WPM, 1.0),
        (2.0, 350, 1.0),
        (0.5, 88, 1.0),
        (0.2, MIN_WPM, 80 / 35),
        (5.0, MAX_WPM, 1.0),
    ],
)
def test_speeds(rate: float, wpm: int, factor: float) -> None:
    assert speeds(rate) == (wpm, pytest.approx(factor))


def test_pitch() -> None:
    assert pitch(0) == 50
    assert 0 <= pitch(-33.3) < pitch(-10) < 50 < pitch(20) < pitch(50) <= 99


@pytest.mark.parametrize("percent", [-30.0, -15.0, 20.0, 40.0])
def test_the_fundamental_follows(espeak: Espeak, percent: float) -> None:
    def fundamental_hz(step: int) -> float:
        sound = espeak.speak("aaaaaaah", "en-us", 120, step).pcm[4_000:12_000].astype(float)
        curve = np.correlate(sound, sound, "full")[len(sound) :]
        return HZ / (100 + int(curve[99:400].argmax()) + 1)

    assert fundamental_hz(pitch(percent)) / fundamental_hz(50) == pytest.approx(1 + percent / 100, abs=0.12)


def test_parts_follow_each_other() -> None:
    job = Job([say(), Rest(250.0, True), say(), Rest(0.0, False), Rest(1000.0, False)], HZ)
    spoken = assemble(job, [ones(0.5), ones(0.25)], HZ)
    assert len(samples(spoken)) == pytest.approx(2.0 * HZ, abs=2)
    assert spoken.part_times_ms == pytest.approx([0, 500, 750, 1000, 1000, 2000], abs=0.1)
    assert [word.time_ms for word in spoken.words] == pytest.approx([0, 750], abs=0.1)


def test_natural_pauses_at_the_ends_are_not_heard() -> None:
    job = Job([Rest(500.0, True), say(), Rest(0.0, False), Rest(500.0, True)], HZ)
    assert len(samples(assemble(job, [ones(0.5)], HZ))) == pytest.approx(0.5 * HZ, abs=2)


def test_silence_around_speech_is_trimmed() -> None:
    quiet = np.zeros(HZ, "<i2")
    pcm = np.concatenate([quiet, np.full(HZ, 9_000, "<i2"), quiet]).tobytes()
    spoken = assemble(Job([say()], HZ), [(pcm, ((0, 3, HZ), (4, 3, 10**6)))], HZ)
    assert len(samples(spoken)) / HZ == pytest.approx(1.07, abs=0.001)
    assert spoken.words[0].time_ms == pytest.approx(10, abs=0.1)
    assert spoken.words[1].time_ms <= 1_071, "a word never starts after the sound"


def test_gain_and_no_clipping() -> None:
    soft, silent = (samples(assemble(Job([say(gain_db=gain)], HZ), [ones(0.5)], HZ)) for gain in (-20.0, None))
    assert soft[100] == pytest.approx(1_000, abs=2)
    assert not silent.any()
    parts = Job([say(gain_db=40.0), say(gain_db=20.0)], HZ)
    loud = samples(assemble(parts, [ones(0.1, 1_000), ones(0.1, 1_000)], HZ))
    assert loud.max() == pytest.approx(0.98 * 32_768, abs=2)
    assert loud[-1] == pytest.approx(loud.max() / 10, abs=2), "loud and louder keep their ratio"


def test_nothing() -> None:
    spoken = assemble(Job([], 16_000), [], HZ)
    assert spoken == Spoken(b"", [0.0], [])


def test_slower_than_espeak_can(espeak: Espeak) -> None:
    lengths = {}
    for rate in (0.2, 0.5, 1.0, 2.0):
        job = Job([say("the quick brown fox jumps over the lazy dog", rate=rate)], 16_000)
        lengths[rate] = len(samples(assemble(job, in_child(espeak, job.parts), HZ)))
    for rate in (0.2, 0.5, 2.0):
        assert lengths[rate] / lengths[1.0] == pytest.approx(1 / rate, rel=0.2)


@pytest.mark.parametrize("voice", ["en-us+f2", "es+m3", "fr+f2", "en-us+whisper"])
def test_the_same_again_and_again(espeak: Espeak, voice: str) -> None:
    part = say("Hello there, how are you?", voice=voice)
    first = in_child(espeak, [part])
    in_child(espeak, [say("Something else", voice="es")])
    assert in_child(espeak, [part]) == first


def test_an_error_in_the_child(espeak: Espeak) -> None:
    with pytest.raises(EspeakError, match="no voice tlh"):
        in_child(espeak, [say(voice="tlh")])


def test_a_crash_in_the_child(espeak: Espeak, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr("local.polly.worker.utter", crash)
    with pytest.raises(EspeakError, match="ended with status"):
        in_child(espeak, [say()])


def test_serves_until_there_are_no_more_jobs() -> None:
    jobs = [Job([say("one")], 16_000), Job([say(voice="tlh")], 16_000), Job([say("one")], 16_000)]
    out = io.BytesIO()
    serve(io.BytesIO(frames(*(msgspec.msgpack.encode(job) for job in jobs)) + b"\0"), out)
    out.seek(0)
    answers = []
    while header := out.read(LENGTH.size):
        answers.append(out.read(LENGTH.unpack(header)[0]))
    assert answers[0] == b""
    first, failed, second = (msgspec.msgpack.decode(answer, type=Spoken | Failed) for answer in answers[1:])
    assert isinstance(first, Spoken)
    assert first == second
    assert isinstance(failed, Failed)
