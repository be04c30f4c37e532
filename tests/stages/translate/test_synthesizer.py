"""Amazon Polly, by its twin; how loud and how fast is measured on the sound."""

from typing import Any

import numpy as np
import pytest

from stages.translate.prosody import prosody
from stages.translate.requests import Synthesize, Synthesized
from stages.translate.synthesizer import Synthesizer
from streams.errors import Refused, Unavailable
from streams.languages import Offer
from streams.records import NEUTRAL, Dynamics
from tests.local.running import Running

OFFERS = {
    "es": Offer("es", "Spanish", "es", "Lucia", "es-ES", "neural"),
    "xx": Offer("xx", "Nothing", "xx", "Nobody", "es-ES", "neural"),
}
TEXT = "La casa blanca está en la colina, y nadie vive allí desde hace muchos años."


def ignore(value: object) -> None:
    raise AssertionError(value)


async def speak(polly: Any, dynamics: Dynamics = NEUTRAL, text: str = TEXT, language: str = "es") -> Synthesized:
    return await Synthesizer(polly, OFFERS).perform("s", Synthesize(text, language, prosody(dynamics)), ignore)


def level_db(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float) / 32_768
    return float(10 * np.log10(np.mean(samples**2)))


async def test_speech_is_pcm_of_16_khz(polly: Any) -> None:
    spoken = await speak(polly)
    assert (spoken.sample_rate_hz, spoken.voice) == (16_000, "Lucia")
    assert 2 < len(spoken.pcm) / 32_000 < 10
    assert TEXT in spoken.ssml


async def test_12_db_quieter_sounds_softer(polly: Any) -> None:
    loud = await speak(polly, Dynamics(level_db=-22.0))
    soft = await speak(polly, Dynamics(level_db=-34.0))
    assert level_db(loud.pcm) - level_db(soft.pcm) > 5


async def test_stretched_by_1_3_sounds_slower(polly: Any) -> None:
    fast = await speak(polly, Dynamics(onsets_per_minute=260.0))
    slow = await speak(polly, Dynamics(onsets_per_minute=200.0))
    assert len(slow.pcm) > 1.05 * len(fast.pcm)


async def test_a_long_text_is_spoken_whole(polly: Any) -> None:
    short = await speak(polly)
    long = await speak(polly, text=" ".join([TEXT] * 40))
    assert long.ssml.count("<speak>") == 2
    assert len(long.pcm) > 35 * len(short.pcm)


async def test_plain_text_where_the_voice_refuses_the_ssml(polly: Any, polly_twin: Running) -> None:
    with polly_twin.faults(
        {"kind": "error", "operation": "SynthesizeSpeech", "code": "InvalidSsmlException", "count": 1}
    ):
        spoken = await speak(polly)
    assert spoken.ssml == ""
    assert len(spoken.pcm) > 32_000


async def test_failures(polly: Any, polly_twin: Running) -> None:
    for language in ("de", "xx"):
        with pytest.raises(Refused):
            await speak(polly, language=language)


@pytest.mark.parametrize("after_bytes", [0, 1, 20_000])
async def test_speech_that_breaks_off_may_be_asked_for_again(polly: Any, polly_twin: Running, after_bytes: int) -> None:
    cut = {"kind": "cut", "operation": "SynthesizeSpeech", "after_bytes": after_bytes}
    with polly_twin.faults(cut), pytest.raises(Unavailable) as error:
        await speak(polly)
    assert error.value.retryable
