"""The Translate twin as a program: arguments in, a service behind `local.aws_http` out."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Final

from local import aws_http, process
from local.aws_http import CannotStart, Request, Response, ServiceError, count_use, page
from local.control import Calls
from local.pool import PoolFull
from local.translate import wire
from local.translate.engine import Engine, EngineFailed, UnsupportedPair
from local.translate.languages import ENGLISH_NAMES
from local.translate.routes import Routes, read_modes
from local.translate.terminology import InvalidTerminology, Kept, Terminologies, keep_terms

ACCOUNT_REGION: Final = "us-east-1:000000000000"

_TERMINOLOGY_PATH: Final = "/_herald/terminologies/"


class TranslateService:
    """Amazon Translate's operations on an `Engine`."""

    signing_name = "translate"

    def __init__(self, engine: Engine, *, max_text_bytes: int = wire.MAX_TEXT_BYTES) -> None:
        self._engine = engine
        self._max_text_bytes = max_text_bytes
        self._terminologies = Terminologies()

    def operation(self, request: Request) -> str:
        """The operation asked for."""
        return wire.operation(request)

    def error(self, error: ServiceError) -> Response:
        """An error in JSON 1.1."""
        return wire.error(error)

    async def close(self) -> None:
        """End the pipelines."""
        await self._engine.close()

    def control(self, path: str) -> Response | None:
        """A terminology's file, where GetTerminology says that it is."""
        name = path.removeprefix(_TERMINOLOGY_PATH)
        try:
            terminology = self._terminologies.get(name if name != path else "")
        except KeyError:
            return None
        return Response(200, terminology.file, {"Content-Type": "text/csv"})

    async def perform(self, operation: str, request: Request, calls: Calls) -> Response:
        """Do what is asked."""
        body = request.body
        match operation:
            case "TranslateText":
                return await self._translate(wire.decode(body, wire.TranslateText), calls)
            case "ListLanguages":
                return self._list_languages(wire.decode(body, wire.ListLanguages))
            case "ImportTerminology":
                return self._import(wire.decode(body, wire.ImportTerminology))
            case "GetTerminology":
                host = request.headers.get("Host", "")
                return self._get(wire.decode(body, wire.TerminologyByName), host)
            case "ListTerminologies":
                return self._list_terminologies(wire.decode(body, wire.ListTerminologies))
            case _:
                return self._delete(wire.decode(body, wire.TerminologyByName))

    async def _translate(self, request: wire.TranslateText, calls: Calls) -> Response:
        source, target = request.source_language_code, request.target_language_code
        size = len(request.text.encode("utf-8", errors="surrogatepass"))
        if size > self._max_text_bytes:
            raise ServiceError(
                "TextSizeLimitExceededException",
                f"Input text size exceeds limit. Max length of request text allowed is {self._max_text_bytes} "
                f"bytes while in this request the text size is {size} bytes",
            )
        if source == "auto":
            raise ServiceError(
                "InvalidRequestException",
                "Autodetect is not supported by this engine: name the source language in SourceLanguageCode",
            )
        if len(request.terminology_names) > 1:
            raise ServiceError("InvalidRequestException", "TerminologyNames may hold one name at most")
        if source == target or self._engine.routes.find(source, target) is None:
            raise _unsupported(source, target)
        kept = self._keep(request)
        translation = kept.restore(await self._run(source, target, kept.text))
        count_use(calls, "TranslateText", f"{source}-{target}", len(request.text))
        content: dict[str, object] = {
            "TranslatedText": translation,
            "SourceLanguageCode": source,
            "TargetLanguageCode": target,
        }
        if request.terminology_names:
            terms = [{"SourceText": before, "TargetText": after} for before, after in kept.used]
            content["AppliedTerminologies"] = [{"Name": request.terminology_names[0], "Terms": terms}]
        if request.settings is not None:
            content["AppliedSettings"] = {}
        return wire.answer(content)

    def _keep(self, request: wire.TranslateText) -> Kept:
        terms: dict[str, str] = {}
        for name in request.terminology_names:
            try:
                terminology = self._terminologies.get(name)
            except KeyError as error:
                raise _no_terminology(name) from error
            terms = terminology.between(request.source_language_code, request.target_language_code)
        return keep_terms(request.text, terms)

    async def _run(self, source: str, target: str, text: str) -> str:
        try:
            return await self._engine.translate(source, target, text)
        except UnsupportedPair as error:
            raise _unsupported(source, target) from error
        except PoolFull as error:
            raise ServiceError("ThrottlingException", f"Rate exceeded: {error}") from error
        except EngineFailed as error:
            raise ServiceError("InternalServerException", f"The engine failed twice: {error}", 500) from error

    def _list_languages(self, request: wire.ListLanguages) -> Response:
        display = request.display_language_code
        if display not in wire.DISPLAY_LANGUAGES:
            raise ServiceError("ValidationException", f"DisplayLanguageCode {display!r} is not one of the service's")
        if display != "en":
            raise ServiceError(
                "UnsupportedDisplayLanguageCodeException",
                "Names of languages are here in English only",
                DisplayLanguageCode=display,
            )
        languages = [
            {"LanguageName": ENGLISH_NAMES[code], "LanguageCode": code} for code in self._engine.routes.languages
        ]
        chosen, token = page(languages, request.next_token, request.max_results, "InvalidParameterValueException")
        return wire.answer(_with_token({"Languages": chosen, "DisplayLanguageCode": display}, token))

    def _import(self, request: wire.ImportTerminology) -> Response:
        data = request.terminology_data
        try:
            terminology = self._terminologies.put(
                request.name, request.description, data.file, data.format, data.directionality, datetime.now(UTC)
            )
        except InvalidTerminology as error:
            raise ServiceError("InvalidParameterValueException", str(error)) from error
        except OverflowError as error:
            raise ServiceError("LimitExceededException", str(error)) from error
        return wire.answer({"TerminologyProperties": wire.properties(terminology, ACCOUNT_REGION)})

    def _get(self, request: wire.TerminologyByName, host: str) -> Response:
        try:
            terminology = self._terminologies.get(request.name)
        except KeyError as error:
            raise _no_terminology(request.name) from error
        wanted = request.terminology_data_format or terminology.format
        if wanted != terminology.format:
            raise ServiceError(
                "InvalidParameterValueException", f"The terminology was imported as {terminology.format}, not {wanted}"
            )
        return wire.answer(
            {
                "TerminologyProperties": wire.properties(terminology, ACCOUNT_REGION),
                "TerminologyDataLocation": {
                    "RepositoryType": "S3",
                    "Location": f"http://{host}{_TERMINOLOGY_PATH}{terminology.name}",
                },
            }
        )

    def _list_terminologies(self, request: wire.ListTerminologies) -> Response:
        found = [wire.properties(terminology, ACCOUNT_REGION) for terminology in self._terminologies.all()]
        chosen, token = page(found, request.next_token, request.max_results, "InvalidParameterValueException")
        return wire.answer(_with_token({"TerminologyPropertiesList": chosen}, token))

    def _delete(self, request: wire.TerminologyByName) -> Response:
        try:
            self._terminologies.delete(request.name)
        except KeyError as error:
            raise _no_terminology(request.name) from error
        return wire.answer({})


def _with_token(content: dict[str, object], token: str | None) -> dict[str, object]:
    return content if token is None else {**content, "NextToken": token}


def _unsupported(source: str, target: str) -> ServiceError:
    return ServiceError(
        "UnsupportedLanguagePairException",
        f"Unsupported language pair: {source} to {target}.",
        SourceLanguageCode=source,
        TargetLanguageCode=target,
    )


def _no_terminology(name: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"There is no terminology {name}")


async def _warm(engine: Engine, pair: str) -> None:
    source, _, target = pair.partition("-")
    try:
        await engine.warm(source, target)
    except UnsupportedPair:
        raise CannotStart(f"--warm: no installed Apertium package translates {pair}") from None
    except EngineFailed as error:
        raise CannotStart(f"--warm: {error}") from None


async def _make(args: argparse.Namespace) -> TranslateService:
    engine = Engine(Routes(read_modes()), pipelines=args.pipelines, max_waiting=args.max_waiting)
    try:
        for pair in filter(None, args.warm.split(",")):
            await _warm(engine, pair)
    except BaseException:  # a stop while loading, too, leaves no pipeline
        await engine.close()
        raise
    return TranslateService(engine, max_text_bytes=args.max_text_bytes)


def main() -> None:
    """Read the arguments and serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.translate", description="Amazon Translate, by Apertium")
    process.add_arguments(parser)
    parser.add_argument(
        "--pipelines", type=int, default=1, help="pipelines per Apertium mode (default 1; 35 to 620 MB each)"
    )
    parser.add_argument("--max-waiting", type=int, default=32, help="requests that may wait per mode (default 32)")
    parser.add_argument("--max-text-bytes", type=int, default=wire.MAX_TEXT_BYTES, help="limit of one TranslateText")
    parser.add_argument("--warm", default="", help="pairs to load before serving, as en-es,en-fr")
    args = parser.parse_args()
    process.start(args, component="translate")
    aws_http.run(lambda: _make(args), args.port)
