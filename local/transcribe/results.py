"""What an engine hears, and its shape on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.transcribe import eventstream


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word; times in milliseconds from the stream's start."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float
    stable: bool = False
    """True once the word will not change any more, in this result or a later one of the same id."""


@dataclass(frozen=True, slots=True)
class Result:
    """One state of one utterance: partial ones replace each other by ``result_id``, the final one closes it."""

    result_id: str
    start_ms: int
    end_ms: int
    is_partial: bool
    words: tuple[Word, ...]


def transcript_event(results: Sequence[Result], *, stabilised: bool) -> bytes:
    """A ``TranscriptEvent`` message. Items carry ``Stable`` only where stabilisation was asked for."""
    body = {"Transcript": {"Results": [_result(result, stabilised) for result in results]}}
    return _message(":event-type", "TranscriptEvent", "event", body)


def exception_event(code: str, message: str) -> bytes:
    """A modelled exception as a message; the stream ends after it."""
    return _message(":exception-type", code, "exception", {"Message": message})


def _message(kind: str, name: str, message_type: str, body: Mapping[str, object]) -> bytes:
    headers = {kind: name, ":content-type": "application/json", ":message-type": message_type}
    return eventstream.encode(headers, json.dumps(body, separators=(",", ":")).encode())


def _result(result: Result, stabilised: bool) -> dict[str, object]:
    items = []
    for word in result.words:
        item = {
            "Content": word.text,
            "Type": "pronunciation",
            "StartTime": word.start_ms / 1000,
            "EndTime": word.end_ms / 1000,
            "VocabularyFilterMatch": False,
        }
        if not result.is_partial:
            item["Confidence"] = round(word.confidence, 4)
        if stabilised:
            item["Stable"] = word.stable or not result.is_partial
        items.append(item)
    return {
        "ResultId": result.result_id,
        "StartTime": result.start_ms / 1000,
        "EndTime": result.end_ms / 1000,
        "IsPartial": result.is_partial,
        "Alternatives": [{"Transcript": " ".join(word.text for word in result.words), "Items": items}],
    }
