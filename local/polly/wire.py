"""What goes over the wire: REST requests with their constraints, answers, and errors.

Names and limits are those of the service's API model (2016-06-10) and of its guide's quotas.
"""

from __future__ import annotations

from typing import Any, Final, Literal
from urllib.parse import parse_qs

import msgspec

from local.aws_http import Request, Response, ServiceError, page
from local.polly.voices import BY_ID, Voice, select

MAX_BILLED_CHARS: Final = 3_000
MAX_TOTAL_CHARS: Final = 6_000
"""SynthesizeSpeech: 6,000 characters, of which 3,000 billed (tags are not)."""
CONTENT_TYPES: Final = {
    "pcm": "audio/pcm",
    "mulaw": "audio/mulaw",
    "alaw": "audio/alaw",
    "json": "application/x-json-stream",
}
"""The formats that are made here. The service's mp3 and ogg need encoders that this twin does without."""
SAMPLE_RATES_HZ: Final = {"pcm": (16_000, 8_000), "mulaw": (8_000,), "alaw": (8_000,), "json": (16_000,)}
"""Per format, the default first."""

_ENGINES: Final = ("standard", "neural", "long-form", "generative")
_MARK_KINDS: Final = ("sentence", "ssml", "viseme", "word")
_JSON: Final = "application/json"
_MAX_MESSAGE_CHARS: Final = 300


class SynthesizeSpeech(msgspec.Struct, rename="pascal", frozen=True):
    """A request of the operation SynthesizeSpeech."""

    output_format: Literal["json", "mp3", "ogg_opus", "ogg_vorbis", "pcm", "mulaw", "alaw"]
    text: str
    voice_id: str
    engine: Literal["standard", "neural", "long-form", "generative"] = "standard"
    language_code: str | None = None
    lexicon_names: tuple[str, ...] = ()
    sample_rate: str | None = None
    speech_mark_types: tuple[Literal["sentence", "ssml", "viseme", "word"], ...] = ()
    text_type: Literal["ssml", "text"] = "text"


def operation(request: Request) -> str:
    """The operation of a method and path. Raises `ServiceError`."""
    match request.method, request.path:
        case "POST", "/v1/speech":
            return "SynthesizeSpeech"
        case "GET", "/v1/voices":
            return "DescribeVoices"
    raise ServiceError("UnknownOperationException", "There is no such operation here", 404)


def decode_speech(body: bytes) -> SynthesizeSpeech:
    """A request of SynthesizeSpeech. Raises `ServiceError` without showing the text that was sent."""
    try:
        return msgspec.json.decode(body, type=SynthesizeSpeech)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ServiceError("SerializationException", "The body is not JSON") from error


def invalid(message: str) -> ServiceError:
    """What AWS answers for a value outside its constraint."""
    return ServiceError("ValidationException", f"1 validation error detected: {message}"[:_MAX_MESSAGE_CHARS])


def check(request: SynthesizeSpeech) -> tuple[Voice, int]:
    """The voice and the sample rate in Hz of a request that may be spoken. Raises `ServiceError`."""
    voice = BY_ID.get(request.voice_id)
    if voice is None:
        raise invalid("Value at 'voiceId' failed to satisfy constraint: Member must satisfy enum value set")
    if request.engine not in voice.engines:
        raise ServiceError(
            "EngineNotSupportedException", f"This voice does not support the selected engine: {request.engine}"
        )
    if request.language_code not in (None, voice.language_code):
        raise ServiceError("LanguageNotSupportedException", "This voice does not speak the selected language")
    if request.output_format not in CONTENT_TYPES:
        made = ", ".join(CONTENT_TYPES)
        raise invalid(f"OutputFormat {request.output_format} is not made by this local twin; it makes {made}")
    _check_marks(request)
    if request.lexicon_names:
        raise ServiceError("LexiconNotFoundException", f"There is no lexicon {request.lexicon_names[0]}", 404)
    if len(request.text) > MAX_TOTAL_CHARS:
        raise too_long()
    rates = SAMPLE_RATES_HZ[request.output_format]
    if request.sample_rate is None or request.output_format == "json":
        return voice, rates[0]
    if request.sample_rate not in map(str, rates):
        raise ServiceError("InvalidSampleRateException", "The specified sample rate is not valid.")
    return voice, int(request.sample_rate)


def _check_marks(request: SynthesizeSpeech) -> None:
    if request.output_format != "json":
        if request.speech_mark_types:
            raise ServiceError(
                "MarksNotSupportedForFormatException", "Speech marks are not supported for the selected output format."
            )
        return
    if not request.speech_mark_types:
        raise invalid("SpeechMarkTypes must be specified for the output format json")
    if "viseme" in request.speech_mark_types:
        raise invalid("viseme marks are not made by this local twin; it makes sentence, word and ssml")
    if "ssml" in request.speech_mark_types and request.text_type != "ssml":
        raise ServiceError(
            "SsmlMarksNotSupportedForTextTypeException", "SSML speech marks are not supported for plain text."
        )


def too_long() -> ServiceError:
    """The text has more characters than the service takes."""
    return ServiceError("TextLengthExceededException", "Maximum text length has been exceeded")


def spoken(output_format: str, body: bytes, billed: int) -> Response:
    """An answer of SynthesizeSpeech."""
    return Response(200, body, {"Content-Type": CONTENT_TYPES[output_format], "x-amzn-RequestCharacters": str(billed)})


def describe_voices(request: Request, page_size: int) -> Response:
    """The answer of DescribeVoices. Raises `ServiceError`."""
    query = {name: values[-1] for name, values in parse_qs(request.query, keep_blank_values=True).items()}
    engine = query.get("Engine")
    if engine is not None and engine not in _ENGINES:
        raise invalid("Value at 'engine' failed to satisfy constraint: Member must satisfy enum value set")
    found = list(select(query.get("LanguageCode"), engine))
    chosen, token = page(found, query.get("NextToken"), page_size, "InvalidNextTokenException")
    content: dict[str, Any] = {"Voices": [_describe(voice) for voice in chosen]}
    if token is not None:
        content["NextToken"] = token
    return Response(200, msgspec.json.encode(content), {"Content-Type": _JSON})


def _describe(voice: Voice) -> dict[str, Any]:
    return {
        "Id": voice.id,
        "Name": voice.name,
        "Gender": voice.gender,
        "LanguageCode": voice.language_code,
        "LanguageName": voice.language_name,
        "SupportedEngines": list(voice.engines),
    }


def error(error: ServiceError) -> Response:
    """An error as REST services answer it."""
    return Response(
        error.status,
        msgspec.json.encode({"message": error.message, **error.fields}),
        {"Content-Type": _JSON, "x-amzn-ErrorType": error.code},
    )
