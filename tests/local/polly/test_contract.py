"""What Amazon Polly promises, asked through boto3.

The endpoint is a twin; with HERALD_CONTRACT=aws in the environment it is the real service. So nothing here
depends on how an engine sounds beyond what SSML promises: louder, softer, faster, slower, silent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.local.running import contract_client, error_of

TEXT = "The quick brown fox jumps over the lazy dog."
Samples = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def polly() -> Iterator[Any]:
    with contract_client("polly") as client:
        yield client


def synthesize(client: Any, text: str, **more: Any) -> Any:
    asked = {"OutputFormat": "pcm", "VoiceId": "Joanna", "Engine": "standard", **more}
    if text.startswith("<"):
        asked["TextType"] = "ssml"
    return client.synthesize_speech(Text=text, **asked)


def sound(client: Any, text: str, **more: Any) -> Samples:
    data = synthesize(client, text, **more)["AudioStream"].read()
    return np.frombuffer(data, "<i2").astype(np.float64) / 32768


def spoken(client: Any, attributes: str, **more: Any) -> Samples:
    return sound(client, f"<speak><prosody {attributes}>{TEXT}</prosody></speak>", **more)


def level_db(samples: Samples) -> float:
    return 20 * float(np.log10(max(1e-9, np.sqrt(np.mean(samples**2)))))


def marks(client: Any, text: str, *kinds: str) -> list[dict[str, Any]]:
    answer = synthesize(client, text, OutputFormat="json", SpeechMarkTypes=list(kinds))
    assert answer["ContentType"] == "application/x-json-stream"
    return [json.loads(line) for line in answer["AudioStream"].read().splitlines()]


def test_speaks(polly: Any) -> None:
    answer = synthesize(polly, TEXT)
    assert answer["ContentType"] == "audio/pcm"
    assert answer["RequestCharacters"] == len(TEXT)
    samples = np.frombuffer(answer["AudioStream"].read(), "<i2")
    assert 1.5 < len(samples) / 16_000 < 6
    assert np.abs(samples.astype(int)).max() > 1_000


def test_half_the_rate_is_half_the_samples(polly: Any) -> None:
    assert len(sound(polly, TEXT, SampleRate="8000")) == pytest.approx(len(sound(polly, TEXT)) / 2, rel=0.02)


def test_neural(polly: Any) -> None:
    assert len(spoken(polly, 'rate="fast" volume="loud"', Engine="neural"))


def test_tags_are_not_billed(polly: Any) -> None:
    assert synthesize(polly, f"<speak><s>{TEXT}</s></speak>")["RequestCharacters"] == len(TEXT)


def test_louder_words_are_louder(polly: Any) -> None:
    levels = [level_db(spoken(polly, f'volume="{name}"')) for name in ("x-soft", "soft", "medium", "loud", "x-loud")]
    assert levels == sorted(levels)
    assert all(b - a > 1 for a, b in pairwise(levels))
    assert level_db(spoken(polly, 'volume="-6dB"')) == pytest.approx(levels[2] - 6, abs=1.5)
    assert level_db(spoken(polly, 'volume="silent"')) < -80


def test_slower_words_are_longer(polly: Any) -> None:
    lengths = [len(spoken(polly, f'rate="{name}"')) for name in ("x-slow", "slow", "medium", "fast", "x-fast")]
    assert lengths == sorted(lengths, reverse=True)
    assert all(a > b * 1.05 for a, b in pairwise(lengths))
    assert len(spoken(polly, 'rate="50%"')) > 1.6 * lengths[2]
    assert len(spoken(polly, 'rate="200%"')) < 0.7 * lengths[2]


def test_a_break_is_as_long_as_it_says(polly: Any) -> None:
    without = len(sound(polly, "<speak>one two</speak>"))
    with_break = len(sound(polly, '<speak>one <break time="2s"/> two</speak>'))
    assert (with_break - without) / 16_000 == pytest.approx(2, abs=0.5)


def test_the_same_request_gives_the_same_bytes(polly: Any) -> None:
    text = f"<speak><prosody rate='slow'>{TEXT}</prosody></speak>"
    assert np.array_equal(sound(polly, text), sound(polly, text))


def test_word_marks(polly: Any) -> None:
    found = marks(polly, "Mary had a little lamb.", "word")
    assert [mark["value"] for mark in found] == ["Mary", "had", "a", "little", "lamb"]
    assert [(mark["start"], mark["end"]) for mark in found] == [(0, 4), (5, 8), (9, 10), (11, 17), (18, 22)]
    times = [mark["time"] for mark in found]
    assert times == sorted(times)
    assert times[0] < 200 < times[-1]


def test_sentence_and_ssml_marks(polly: Any) -> None:
    text = '<speak>Mary had a little <mark name="animal"/>lamb. It was white.</speak>'
    found = marks(polly, text, "sentence", "ssml")
    assert [mark["value"] for mark in found if mark["type"] == "sentence"] == [
        'Mary had a little <mark name="animal"/>lamb.',
        "It was white.",
    ]
    (mark,) = (mark for mark in found if mark["type"] == "ssml")
    assert (mark["value"], mark["start"], mark["end"]) == ("animal", 25, 46)
    assert mark["time"] > 300


@pytest.mark.parametrize(
    "ssml",
    [
        "hello",
        "<speak>hello",
        "<speak><unknown>hello</unknown></speak>",
        "<s>hello</s>",
        "<speak>a & b</speak>",
        '<speak><prosody volume="deafening">hello</prosody></speak>',
        '<speak><prosody rate="quick">hello</prosody></speak>',
        "<speak><prosody speed='fast'>hello</prosody></speak>",
        "<speak><break time='soon'/></speak>",
        '<speak><say-as interpret-as="poem">hello</say-as></speak>',
        "<speak><sub>W3C</sub></speak>",
    ],
)
def test_wrong_ssml(polly: Any, ssml: str) -> None:
    error = error_of(
        polly,
        lambda: polly.synthesize_speech(Text=ssml, TextType="ssml", VoiceId="Joanna", OutputFormat="pcm"),
    )
    assert error["Code"] == "InvalidSsmlException"
    assert error["Status"] == 400


@pytest.mark.parametrize(
    "ssml",
    [
        '<speak><emphasis level="strong">hello</emphasis></speak>',
        '<speak><prosody pitch="high">hello</prosody></speak>',
        '<speak><amazon:effect name="whispered">hello</amazon:effect></speak>',
    ],
)
def test_what_standard_voices_do_and_neural_ones_refuse(polly: Any, ssml: str) -> None:
    assert len(sound(polly, ssml))
    assert error_of(polly, lambda: synthesize(polly, ssml, Engine="neural"))["Code"] == "InvalidSsmlException"


@pytest.mark.parametrize("rate", ["11025", "44100", "x"])
def test_wrong_sample_rate(polly: Any, rate: str) -> None:
    assert error_of(polly, lambda: synthesize(polly, TEXT, SampleRate=rate))["Code"] == "InvalidSampleRateException"


def test_too_long(polly: Any) -> None:
    for text in ("a " * 1_501, "<speak>" + "<s>a</s>" * 800 + "</speak>"):
        assert error_of(polly, lambda text=text: synthesize(polly, text))["Code"] == "TextLengthExceededException"


def test_engines(polly: Any) -> None:
    error = error_of(polly, lambda: synthesize(polly, TEXT, VoiceId="Conchita", Engine="neural"))
    assert error["Code"] in ("EngineNotSupportedException", "ValidationException")
    error = error_of(polly, lambda: synthesize(polly, TEXT, VoiceId="Arlet", Engine="standard"))
    assert error["Code"] in ("EngineNotSupportedException", "ValidationException")


def test_unknown_voice(polly: Any) -> None:
    assert error_of(polly, lambda: synthesize(polly, TEXT, VoiceId="Nobody"))["Code"] == "ValidationException"


def test_marks_need_the_json_format(polly: Any) -> None:
    error = error_of(polly, lambda: synthesize(polly, TEXT, SpeechMarkTypes=["word"]))
    assert error["Code"] == "MarksNotSupportedForFormatException"


def test_ssml_marks_need_ssml(polly: Any) -> None:
    error = error_of(polly, lambda: synthesize(polly, TEXT, OutputFormat="json", SpeechMarkTypes=["ssml"]))
    assert error["Code"] == "SsmlMarksNotSupportedForTextTypeException"


def test_unknown_lexicon(polly: Any) -> None:
    error = error_of(polly, lambda: synthesize(polly, TEXT, LexiconNames=["nothing"]))
    assert (error["Code"], error["Status"]) == ("LexiconNotFoundException", 404)


@pytest.mark.parametrize(
    ("voice", "language"),
    [
        ("Joanna", "en-US"),
        ("Amy", "en-GB"),
        ("Lucia", "es-ES"),
        ("Arlet", "ca-ES"),
        ("Lea", "fr-FR"),
        ("Bianca", "it-IT"),
        ("Camila", "pt-BR"),
        ("Ines", "pt-PT"),
        ("Vicki", "de-DE"),
    ],
)
def test_voices_of_a_language(polly: Any, voice: str, language: str) -> None:
    voices = {row["Id"]: row for row in polly.describe_voices(LanguageCode=language)["Voices"]}
    assert voices[voice]["LanguageCode"] == language
    assert voices[voice]["Gender"] == "Female"
    assert voices[voice]["Name"]
    assert voices[voice]["LanguageName"]
    assert "neural" in voices[voice]["SupportedEngines"]


def test_voices_with_an_engine(polly: Any) -> None:
    standard = {row["Id"] for row in polly.describe_voices(Engine="standard")["Voices"]}
    neural = {row["Id"] for row in polly.describe_voices(Engine="neural")["Voices"]}
    assert "Joanna" in standard & neural
    assert "Conchita" in standard - neural
    assert "Arlet" in neural - standard


def test_no_galician(polly: Any) -> None:
    languages = {row["LanguageCode"] for row in polly.describe_voices()["Voices"]}
    assert not any(code.startswith("gl") for code in languages)


def test_wrong_page_token(polly: Any) -> None:
    error = error_of(polly, lambda: polly.describe_voices(NextToken="nonsense"))
    assert error["Code"] == "InvalidNextTokenException"
