from __future__ import annotations

import json

import pytest

from local.aws_http import Request, ServiceError
from local.polly import wire


def get(path: str, query: str = "", method: str = "GET") -> Request:
    return Request(method, path, query, {}, b"")


def speech(**fields: object) -> wire.SynthesizeSpeech:
    asked = {"OutputFormat": "pcm", "Text": "hello", "VoiceId": "Joanna", **fields}
    return wire.decode_speech(json.dumps(asked).encode())


def refusal(**fields: object) -> str:
    with pytest.raises(ServiceError) as caught:
        wire.check(speech(**fields))
    return caught.value.code


def test_operations() -> None:
    assert wire.operation(get("/v1/voices")) == "DescribeVoices"
    assert wire.operation(get("/v1/speech", method="POST")) == "SynthesizeSpeech"
    for asked in (get("/v1/speech"), get("/"), get("/v1/lexicons"), get("/v1/voices", method="POST")):
        with pytest.raises(ServiceError) as caught:
            wire.operation(asked)
        assert caught.value.status == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "SerializationException"),
        (b"\xff", "SerializationException"),
        (b"[]", "ValidationException"),
        (b"{}", "ValidationException"),
        (b'{"OutputFormat":"wav","Text":"secret","VoiceId":"Joanna"}', "ValidationException"),
        (b'{"OutputFormat":"pcm","Text":"secret","VoiceId":"Joanna","TextType":"html"}', "ValidationException"),
    ],
)
def test_bad_bodies(body: bytes, code: str) -> None:
    with pytest.raises(ServiceError) as caught:
        wire.decode_speech(body)
    assert caught.value.code == code
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("fields", "rate_hz"),
    [
        ({}, 16_000),
        ({"SampleRate": "8000"}, 8_000),
        ({"OutputFormat": "mulaw"}, 8_000),
        ({"OutputFormat": "alaw", "SampleRate": "8000"}, 8_000),
        ({"OutputFormat": "json", "SpeechMarkTypes": ["word"], "SampleRate": "22050"}, 16_000),
        ({"Engine": "neural", "LanguageCode": "en-US"}, 16_000),
    ],
)
def test_taken(fields: dict[str, object], rate_hz: int) -> None:
    voice, rate = wire.check(speech(**fields))
    assert (voice.id, rate) == ("Joanna", rate_hz)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"VoiceId": "Nobody"}, "ValidationException"),
        ({"Engine": "generative"}, "EngineNotSupportedException"),
        ({"VoiceId": "Arlet"}, "EngineNotSupportedException"),
        ({"LanguageCode": "es-ES"}, "LanguageNotSupportedException"),
        ({"OutputFormat": "mp3"}, "ValidationException"),
        ({"OutputFormat": "ogg_vorbis"}, "ValidationException"),
        ({"SampleRate": "22050"}, "InvalidSampleRateException"),
        ({"OutputFormat": "mulaw", "SampleRate": "16000"}, "InvalidSampleRateException"),
        ({"SpeechMarkTypes": ["word"]}, "MarksNotSupportedForFormatException"),
        ({"OutputFormat": "json"}, "ValidationException"),
        ({"OutputFormat": "json", "SpeechMarkTypes": ["viseme"]}, "ValidationException"),
        ({"OutputFormat": "json", "SpeechMarkTypes": ["ssml"]}, "SsmlMarksNotSupportedForTextTypeException"),
        ({"LexiconNames": ["a"]}, "LexiconNotFoundException"),
        ({"Text": "a" * 6_001}, "TextLengthExceededException"),
    ],
)
def test_refused(fields: dict[str, object], code: str) -> None:
    assert refusal(**fields) == code


def test_voices_come_in_pages() -> None:
    found, query = [], ""
    while True:
        answer = json.loads(wire.describe_voices(get("/v1/voices", query), 7).body)
        assert len(answer["Voices"]) <= 7
        found += [voice["Id"] for voice in answer["Voices"]]
        if "NextToken" not in answer:
            break
        query = "NextToken=" + answer["NextToken"].replace("=", "%3D")
    whole = json.loads(wire.describe_voices(get("/v1/voices"), 1_000).body)["Voices"]
    assert found == [voice["Id"] for voice in whole]
    assert len(found) > 50


@pytest.mark.parametrize("query", ["Engine=quantum", "NextToken=x", "NextToken=LTE%3D"])
def test_bad_queries(query: str) -> None:
    with pytest.raises(ServiceError):
        wire.describe_voices(get("/v1/voices", query), 10)


def test_answers() -> None:
    answer = wire.spoken("pcm", b"\0\0", 7)
    assert dict(answer.headers) == {"Content-Type": "audio/pcm", "x-amzn-RequestCharacters": "7"}
    error = wire.error(ServiceError("SomeException", "why", 404))
    assert (error.status, error.headers["x-amzn-ErrorType"]) == (404, "SomeException")
    assert json.loads(error.body) == {"message": "why"}
