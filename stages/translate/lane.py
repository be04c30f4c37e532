"""One language of one session: captions and speech, each in the order of the clauses. Pure.

Captions go out as soon as the text is there, ahead of the speech. The calls of the next clauses are under way while one
is synthesised, but what they give waits for its turn. Of a clause that is too late to be spoken, that is told in its
turn.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from stages.translate.emitted import Emitted
from stages.translate.items import OpenCalls, TranscriptItem, joined
from stages.translate.prosody import prosody
from stages.translate.requests import Synthesize, Synthesized, Translate, Translated
from stages.translate.state import Text
from streams import times
from streams.errors import Failure
from streams.lag import LagBudget, Lateness
from streams.languages import base_language
from streams.records import NEUTRAL, SAMPLE_RATE_HZ, Caption, Dynamics, SpeechPart
from streams.stage import Count, Effect, Emit, Reply
from streams.words import well_formed

PART_BYTES = 480_000
"""Sound in one record, 15 s: a record is 1 MB at the most. All parts of a clause but the last have this size."""
STAGE: Final = "translate"
UNSPOKEN: Final = Synthesized(b"", "", "", SAMPLE_RATE_HZ)
"""What a clause sounds like that is too late to be spoken."""


class Job:
    """A clause in this language."""

    def __init__(self, item: TranscriptItem, lane: "Lane", text: str | None) -> None:
        self.item = item
        self.lane = lane
        self.text = text
        self.spoken: SpeechPart | None = None
        """The last part that was out before a restore."""
        self.is_silent = False
        """Whether it is not to be spoken (any more)."""
        self.is_late = False
        """Whether it is left unspoken because it is too late."""
        self.speech: Synthesized | None = None
        self.failure: Failure | None = None
        self.asked = ""
        """The last service asked: nothing is asked twice."""
        self.hops: dict[str, int] = {}

    @property
    def dynamics(self) -> Dynamics:
        """How it is spoken: what was begun before a restore goes on as it began, or its parts would not fit."""
        return self.spoken.dynamics if self.spoken is not None else self.item.dynamics or NEUTRAL

    @property
    def is_ready(self) -> bool:
        """Whether its turn to speak, or to be passed over, may come."""
        over = self.is_silent or self.is_late or self.failure is not None
        return over or self.text == "" or self.speech is not None

    @property
    def wants_translation(self) -> bool:
        """Whether it is to be translated now."""
        return self.text is None and not self.asked and self.failure is None

    @property
    def wants_speech(self) -> bool:
        """Whether it is to be synthesised now."""
        return bool(self.text) and self.item.dynamics is not None and not self.asked and not self.is_ready


class Lane:
    """Captions and speech of one language. clauses_ahead: clauses with calls under way.

    spoken: how many clauses have been.
    """

    def __init__(
        self,
        language: str,
        session_id: str,
        clauses_ahead: int,
        budget: LagBudget,
        calls: "OpenCalls[Job | TranscriptItem]",
    ) -> None:
        self.language = language
        self.spoken = 0
        self.lateness = Lateness(budget)
        self._session_id = session_id
        self._clauses_ahead = clauses_ahead
        self._calls = calls
        self._captions: deque[Job | TranscriptItem] = deque()
        self._speech: deque[Job] = deque()

    def add_clause(self, item: TranscriptItem, emitted: Emitted) -> None:
        """A committed clause: a caption, then speech."""
        transcript = item.transcript
        text = emitted.text(item.clause_id, self.language)
        is_own = base_language(transcript.source_language) == self.language
        job = Job(item, self, item.text if text is None and is_own else text)
        if text is None:
            self._captions.append(job)
        last = job.spoken = emitted.last_part(transcript.utterance_id, item.clause, self.language)
        whole = last is not None and last.part == last.parts - 1
        job.is_silent = whole or (last is None and emitted.is_passed_over(item.end_ms, self.language))
        self._speech.append(job)

    def add_caption(self, item: TranscriptItem) -> None:
        """A partial, of which only the latest counts, or a final."""
        last = self._captions[-1] if self._captions else None
        if isinstance(last, TranscriptItem) and last.transcript.is_partial:
            self._captions.pop()
        self._captions.append(item)

    def advance(self, now_ms: int) -> Iterator[Effect]:
        """All that can be done now."""
        while True:
            for job in islice(self._speech, self._clauses_ahead):
                if job.wants_translation:
                    yield from self._ask_translation(job)
            while self._captions and self._is_known(self._captions[0]):
                yield from self._emit_caption(self._captions.popleft())
            for job in islice(self._speech, self._clauses_ahead):
                if job.wants_speech and self._is_worth_speaking(job, now_ms):
                    yield from self._ask_speech(job)
            if not self._speech or not self._speech[0].is_ready:
                return
            yield from self._speak(self._speech.popleft(), now_ms)

    def _is_worth_speaking(self, job: Job, now_ms: int) -> bool:
        """Whether to ask for its speech now. It is decided in its turn; a clause ahead of its turn may wait for that.

        A clause of which a part is out is always spoken.
        """
        if job.spoken is not None:
            return True
        if job is not self._speech[0]:
            return not self.lateness.behind and not self.lateness.is_over(job.item.lag_ms(now_ms))
        job.is_late = self.lateness.leaves_out(job.item.lag_ms(now_ms), now_ms)
        return not job.is_late

    def on_reply(self, job: Job, reply: Reply, now_ms: int) -> Iterator[Effect]:
        """A call of mine is answered."""
        job.asked = ""
        if reply.failure is not None:
            job.failure = reply.failure
            yield Count("TranslationPipelineErrors")
        elif isinstance(reply.value, Translated):
            job.text = well_formed(reply.value.text).strip()
            job.hops[times.TRANSLATION_CALLED] = reply.called_ms
            job.hops[times.TRANSLATION_ANSWERED] = reply.answered_ms
        elif isinstance(reply.value, Synthesized):
            job.speech = reply.value
            job.hops[times.SYNTHESIS_CALLED] = reply.called_ms
            job.hops[times.SYNTHESIS_ANSWERED] = reply.answered_ms
        yield from self.advance(now_ms)

    def _ask_translation(self, job: Job) -> Iterator[Effect]:
        source = base_language(job.item.transcript.source_language)
        job.asked = Translate.dependency
        yield Count("TranslationPipelineInvocations")
        yield self._calls.ask(job, Translate(job.item.text, source, self.language))

    def _ask_speech(self, job: Job) -> Iterator[Effect]:
        assert job.text is not None
        job.asked = Synthesize.dependency
        yield self._calls.ask(job, Synthesize(job.text, self.language, prosody(job.dynamics)))

    @staticmethod
    def _is_known(entry: Job | TranscriptItem) -> bool:
        return isinstance(entry, TranscriptItem) or entry.text is not None or entry.failure is not None

    def _emit_caption(self, entry: Job | TranscriptItem) -> Iterator[Effect]:
        if isinstance(entry, Job):
            if entry.text:
                text = self._text(entry.item)
                text.committed = joined(text.committed, entry.text, self.language)
                yield self._caption(entry.item, text, text.committed, entry.item.hops | entry.hops)
        elif entry.transcript.is_partial:
            text = self._text(entry)
            yield self._caption(entry, text, joined(text.committed, entry.text, self.language), entry.hops)
        else:
            known = entry.utterance.texts.pop(self.language, None)
            if known is not None:
                yield self._caption(entry, known, known.committed, entry.hops)
            yield from entry.finish_one()

    def _text(self, item: TranscriptItem) -> Text:
        return item.utterance.texts.setdefault(self.language, Text())

    def _caption(self, item: TranscriptItem, text: Text, shown: str, hops: dict[str, int]) -> Emit:
        text.revision = max(text.revision + 1, item.transcript.revision)
        caption = Caption(
            session_id=self._session_id,
            utterance_id=item.transcript.utterance_id,
            language=self.language,
            revision=text.revision,
            text=shown,
            committed=len(text.committed),
            final=item.transcript.status == "final",
            start_ms=item.utterance.start_ms,
            end_ms=item.end_ms,
            times_ms=hops,
        )
        return Emit(caption)

    def _speak(self, job: Job, now_ms: int) -> Iterator[Effect]:
        if job.speech is not None and job.spoken is None:  # it may have come too late meanwhile
            job.is_late = self.lateness.leaves_out(job.item.lag_ms(now_ms), now_ms)
        if job.is_late:
            yield Count("SpeechSkipped")
            yield Emit(self._part(job, UNSPOKEN, self.spoken))
        elif job.speech is not None and job.speech.pcm:
            yield from self._parts(job, job.speech)
        yield from job.item.finish_one(job.failure)

    def _parts(self, job: Job, speech: Synthesized) -> Iterator[Effect]:
        sequence = self.spoken if job.spoken is None else job.spoken.sequence
        self.spoken = max(self.spoken, sequence + 1)
        whole = self._part(job, speech, sequence)
        parts = -(-whole.total_bytes // PART_BYTES)
        for part in range(job.spoken.part + 1 if job.spoken else 0, parts):
            offset = part * PART_BYTES
            pcm = whole.pcm[offset : offset + PART_BYTES]
            yield Emit(msgspec.structs.replace(whole, pcm=pcm, part=part, parts=parts, offset_bytes=offset))

    def _part(self, job: Job, speech: Synthesized, sequence: int) -> SpeechPart:
        """The whole clause as one record."""
        item = job.item
        return SpeechPart(
            session_id=self._session_id,
            utterance_id=item.transcript.utterance_id,
            clause=item.clause,
            language=self.language,
            sequence=sequence,
            text=job.text or "",
            ssml=speech.ssml,
            voice=speech.voice,
            dynamics=job.dynamics,
            sample_rate_hz=speech.sample_rate_hz,
            pcm=speech.pcm,
            start_ms=item.start_ms,
            end_ms=item.end_ms,
            total_bytes=len(speech.pcm),
            skipped_by=STAGE if speech is UNSPOKEN else "",
            times_ms=item.hops | job.hops,
        )
