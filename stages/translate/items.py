"""An input on its way through the stage, and the calls that are open for it. Pure."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from stages.translate.emitted import ClauseId
from stages.translate.state import Utterance
from streams import times
from streams.errors import Failure
from streams.lag import lag_ms
from streams.records import Dynamics, SessionEvent, Transcript, Word
from streams.stage import Call, Done, Effect, Input, Position, Reject, Request


class EventItem:
    """A session event, which waits for all before it."""

    def __init__(self, position: Position, event: SessionEvent) -> None:
        self.position = position
        self.event = event


class TranscriptItem:
    """A transcript. words: what is new of it. clause: its index among the utterance's clauses as this stage counts.

    languages: who listens, once asked. dynamics: how it was said, once asked. pending: languages that are not finished.
    """

    def __init__(
        self, received: Input, transcript: Transcript, utterance: Utterance, words: list[Word], clause: int
    ) -> None:
        self.position = received.position
        self.transcript = transcript
        self.utterance = utterance
        self.clause = clause
        self.text = _text_of(transcript, words)
        self.end_ms = words[-1].end_ms if words else transcript.end_ms
        self.start_ms = words[0].start_ms if words else transcript.start_ms
        self.hops = transcript.times_ms | {
            times.TRANSCRIPTS_WRITTEN: received.written_ms,
            times.TRANSLATE_READ: received.read_ms,
        }
        self.written_ms = received.written_ms
        self.languages: list[str] | None = None
        self.dynamics: Dynamics | None = None
        self.pending = 0
        self.failure: Failure | None = None

    @property
    def clause_id(self) -> ClauseId:
        """As its captions name it."""
        return ClauseId(self.transcript.utterance_id, self.end_ms)

    def lag_ms(self, now_ms: int) -> int:
        """How late its words are."""
        return lag_ms(self.transcript.times_ms, self.written_ms, now_ms)

    def finish_one(self, failure: Failure | None = None) -> Iterator[Effect]:
        """One language is finished; with the last, the input is settled."""
        self.failure = self.failure or failure
        self.pending -= 1
        if self.pending == 0:
            yield Reject(self.position, self.failure) if self.failure else Done(self.position)


def separator(language: str) -> str:
    """What stands between clauses: Chinese and Japanese are written without spaces."""
    return "" if language in {"zh", "ja"} else " "


def joined(before: str, after: str, language: str) -> str:
    """Two pieces of an utterance as one text."""
    return before + separator(language) + after if before and after else before or after


def _text_of(transcript: Transcript, words: list[Word]) -> str:
    if len(words) == len(transcript.words):
        return transcript.transcript_text.strip()
    space = separator(transcript.source_language.partition("-")[0])
    return space.join(word.text for word in words).strip()


Owner = TypeVar("Owner")


class OpenCalls(Generic[Owner]):
    """Calls that have no answer yet, with what each is for."""

    def __init__(self) -> None:
        self._owners: dict[str, Owner] = {}
        self._count = 0

    def ask(self, owner: Owner, request: Request) -> Call:
        """A call on behalf of `owner`."""
        self._count += 1
        call = Call(f"{request.dependency}-{self._count}", request)
        self._owners[call.call_id] = owner
        return call

    def take(self, call_id: str) -> Owner | None:
        """Whose call is answered; None for a call that is not mine (from before a restore)."""
        return self._owners.pop(call_id, None)
