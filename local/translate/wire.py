"""What goes over the wire: JSON 1.1 requests with their constraints, answers, and errors.

Names and limits are those of the service's API model (2017-07-01).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from local.aws_http import Request, Response, ServiceError
from local.translate.terminology import Terminology

TARGET_PREFIX: Final = "AWSShineFrontendService_20170701."
CONTENT_TYPE: Final = "application/x-amz-json-1.1"
MAX_TEXT_BYTES: Final = 10_000
"""Of UTF-8, per TranslateText. The service's limit was 5,000 until 2022; older accounts may still meet that."""
DISPLAY_LANGUAGES: Final = frozenset({"de", "en", "es", "fr", "it", "ja", "ko", "pt", "zh", "zh-TW"})
OPERATIONS: Final = frozenset(
    {
        "TranslateText",
        "ListLanguages",
        "ImportTerminology",
        "GetTerminology",
        "ListTerminologies",
        "DeleteTerminology",
    }
)

_Language = Annotated[str, msgspec.Meta(min_length=2, max_length=5)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^([A-Za-z0-9-]_?)+$")]
_PageSize = Annotated[int, msgspec.Meta(ge=1, le=500)]
_MAX_MESSAGE_CHARS: Final = 300


class Settings(msgspec.Struct, rename="pascal", frozen=True):
    """How to translate. Accepted and checked; the engine can follow none of them, so none is ever 'applied'."""

    formality: Literal["FORMAL", "INFORMAL"] | None = None
    profanity: Literal["MASK"] | None = None
    brevity: Literal["ON"] | None = None


class TranslateText(msgspec.Struct, rename="pascal", frozen=True):
    """A request of the operation TranslateText."""

    text: Annotated[str, msgspec.Meta(min_length=1)]
    source_language_code: _Language
    target_language_code: _Language
    terminology_names: tuple[_Name, ...] = ()
    settings: Settings | None = None


class ListLanguages(msgspec.Struct, rename="pascal", frozen=True):
    """A request of the operation ListLanguages."""

    display_language_code: str = "en"
    next_token: str | None = None
    max_results: _PageSize = 500


class TerminologyData(msgspec.Struct, rename="pascal", frozen=True):
    """A terminology's file."""

    file: bytes
    format: Literal["CSV", "TSV", "TMX"]
    directionality: Literal["UNI", "MULTI"] = "UNI"


class ImportTerminology(msgspec.Struct, rename="pascal", frozen=True):
    """A request of the operation ImportTerminology; keys and tags are accepted and have no effect here."""

    name: _Name
    merge_strategy: Literal["OVERWRITE"]
    terminology_data: TerminologyData
    description: Annotated[str, msgspec.Meta(max_length=256)] = ""


class TerminologyByName(msgspec.Struct, rename="pascal", frozen=True):
    """A request of the operations GetTerminology and DeleteTerminology."""

    name: _Name
    terminology_data_format: Literal["CSV", "TSV", "TMX"] | None = None


class ListTerminologies(msgspec.Struct, rename="pascal", frozen=True):
    """A request of the operation ListTerminologies."""

    next_token: str | None = None
    max_results: _PageSize = 500


S = TypeVar("S", bound=msgspec.Struct)


def operation(request: Request) -> str:
    """The operation that the `X-Amz-Target` header names. Raises `ServiceError`."""
    target = request.headers.get("X-Amz-Target", "")
    name = target.removeprefix(TARGET_PREFIX)
    if request.method != "POST" or request.path != "/" or name == target or name not in OPERATIONS:
        raise ServiceError("UnknownOperationException", "There is no such operation here")
    return name


def decode(body: bytes, kind: type[S]) -> S:
    """A request's body. Raises `ServiceError` without showing the text that was sent."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        message = f"1 validation error detected: {error}"[:_MAX_MESSAGE_CHARS]
        raise ServiceError("ValidationException", message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ServiceError("SerializationException", "The body is not JSON") from error


def answer(content: dict[str, Any]) -> Response:
    """A success; times as Unix seconds, which is how JSON 1.1 has them."""
    return Response(200, msgspec.json.encode(content), {"Content-Type": CONTENT_TYPE})


def error(error: ServiceError) -> Response:
    """An error. JSON 1.1 answers what is the caller's doing with 400, also where REST would say 403."""
    status = error.status if error.status >= 500 else 400
    content = {"__type": error.code, "Message": error.message, **error.fields}
    return Response(
        status, msgspec.json.encode(content), {"Content-Type": CONTENT_TYPE, "x-amzn-ErrorType": error.code}
    )


def properties(terminology: Terminology, account_region: str) -> dict[str, Any]:
    """A terminology as the service describes it. `account_region`: `REGION:ACCOUNT`, for its ARN."""
    content: dict[str, Any] = {
        "Name": terminology.name,
        "Arn": f"arn:aws:translate:{account_region}:terminology/{terminology.name}/LATEST",
        "SourceLanguageCode": terminology.source,
        "TargetLanguageCodes": list(terminology.languages[1:]),
        "SizeBytes": len(terminology.file),
        "TermCount": len(terminology.terms),
        "SkippedTermCount": terminology.skipped,
        "CreatedAt": terminology.created_at.timestamp(),
        "LastUpdatedAt": terminology.updated_at.timestamp(),
        "Directionality": terminology.directionality,
        "Format": terminology.format,
    }
    if terminology.description:
        content["Description"] = terminology.description
    return content
