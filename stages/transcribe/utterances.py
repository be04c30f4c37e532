"""Results become transcripts: partials while words may change, clauses when they will not, a final at the end. Pure."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from stages.transcribe.clauses import ClauseRule, clause_lengths
from stages.transcribe.horizon import Horizon
from stages.transcribe.state import OpenUtterance, SpeechState
from streams.records import Transcript, Word
from streams.words import NEAR_MS, is_same, plain

PARTIAL_EVERY_MS: Final = 200
"""Row T2: at most 5 partials per second."""
UNSCORED_WAIT_MS: Final = 3_000
"""Row T2: a partial without stability passes after so long."""
UNSPACED_LANGUAGES: Final = ("ja", "zh")

Status: TypeAlias = Literal["partial", "clause", "final"]


class HeardResult(NamedTuple):
    """A result on the media clock. key: unique for the result within the session. stable: per word; None: not said."""

    key: str
    words: Sequence[Word]
    stable: Sequence[bool | None]
    end_ms: int
    is_partial: bool
    answered_ms: int


class Outcome(NamedTuple):
    """A transcript to emit, without its `timestamp` and `times_ms`, and when the recogniser gave its words."""

    transcript: Transcript
    answered_ms: int


class Utterances:
    """The utterances of one session."""

    def __init__(
        self, session_id: str, language: str, threshold: float, rule: ClauseRule, state: SpeechState | None = None
    ) -> None:
        state = state or SpeechState()
        self.horizon = Horizon(state.horizon_ms, state.recent)
        self.language = language
        self.contradictions = 0
        """Committed words that a later result heard differently; they stay as they are (row T3)."""
        self._session_id = session_id
        self._threshold = threshold
        self._rule = rule
        self._open = state.utterance
        self._committed_of: tuple[str, list[str]] = ("", [])  # a result, and its first words: those that are committed
        self._contradicted: set[int] = set()
        self._held: HeardResult | None = None  # the latest partial that may not pass yet: its uncommitted tail
        self._held_score = 0.0
        self._held_until_ms = 0
        self._next_partial_ms = 0
        self._last_partial: list[Word] = []

    def state(self) -> SpeechState:
        """What a snapshot keeps."""
        return msgspec.convert(
            msgspec.to_builtins(SpeechState(self.horizon.end_ms, list(self.horizon.recent), self._open)), SpeechState
        )

    def wake_at_ms(self) -> int | None:
        """When a partial that was held back may pass."""
        return self._held_until_ms if self._held is not None else None

    def is_open(self) -> bool:
        """Whether an utterance has begun and no final has closed it."""
        return self._open is not None

    def on_emitted(self, record: Transcript) -> None:
        """After a restore: what was emitted since the snapshot, by me or by an owner before."""
        known = self._open is not None and self._open.utterance_id == record.utterance_id
        if record.status == "final":
            self.horizon.end_ms = max(self.horizon.end_ms, record.end_ms if record.words else 0)
            self._open = None if known else self._open
            return
        words = record.words[self.horizon.first_new(record.words) :] if record.status == "clause" else []
        if self._open is None or (words and not known):
            self._open = OpenUtterance(record.utterance_id, words=[])
        elif not known:
            return  # an owner that came too late
        self._open.revision = max(self._open.revision, record.revision)
        if record.status == "clause":
            self.horizon.commit(words)
            self._open.words.extend(words)
            self._open.clauses = max(self._open.clauses, record.clause + 1)

    def on_result(self, result: HeardResult, now_ms: int) -> list[Outcome]:
        """Take a result. What it repeats of committed words is dropped."""
        first = self._first_new(result)
        self._note_contradictions(result, first)
        words = self.horizon.after(result.words[first:])
        outcomes: list[Outcome] = []
        if not result.is_partial:
            if words:
                outcomes.append(self._clause(words, result.answered_ms))
            outcomes += self._close(result, bool(words))
            return outcomes
        stable = _stable_beginning(result.stable[first:])
        committed = 0
        for length in clause_lengths(words, stable, result.end_ms, self._rule):
            outcomes.append(self._clause(words[committed : committed + length], result.answered_ms))
            committed += length
        if committed:
            self._committed_of = (result.key, [plain(word.text) for word in result.words[: first + committed]])
        tail = result._replace(words=words[committed:])
        return outcomes + self._offer_partial(tail, _score(result.stable), now_ms)

    def on_timer(self, now_ms: int) -> list[Outcome]:
        """Let the partial pass that was held back, if its time has come."""
        if self._held is None or now_ms < self._held_until_ms:
            return []
        held, self._held = self._held, None
        return [self._partial(held, now_ms)]

    def forget_results(self) -> None:
        """The recogniser's stream is gone: its partials will not be continued."""
        self._held = None
        self._committed_of = ("", [])

    def close(self, answered_ms: int) -> list[Outcome]:
        """Close the open utterance with what is committed: nothing more will come for it."""
        self._held = None
        utterance, self._open = self._open, None
        self._contradicted.clear()
        self._last_partial = []
        if utterance is None:
            return []
        return [self._outcome(utterance, "final", utterance.words, utterance.clauses, 1.0, answered_ms)]

    # --- which words are new -------------------------------------------------------------------------------------

    def _first_new(self, result: HeardResult) -> int:
        key, committed = self._committed_of
        if key == result.key and [plain(word.text) for word in result.words[: len(committed)]] == committed:
            return len(committed)
        return self.horizon.first_new(result.words)

    def _note_contradictions(self, result: HeardResult, first: int) -> None:
        if self._open is None or not result.words:
            return
        begin_ms = result.words[0].start_ms
        for i, word in enumerate(self._open.words):
            if word.middle_ms < begin_ms or word.middle_ms > result.end_ms or i in self._contradicted:
                continue
            if not any(is_same(word, heard) for heard in result.words[:first]):
                self._contradicted.add(i)
                self.contradictions += 1

    # --- records -------------------------------------------------------------------------------------------------

    def _clause(self, words: list[Word], answered_ms: int) -> Outcome:
        self._held = None
        utterance = self._opened_at(words[0].start_ms)
        clause = utterance.clauses
        utterance.clauses += 1
        utterance.words.extend(words)
        self.horizon.commit(words)
        self._last_partial = []
        return self._outcome(utterance, "clause", words, clause, 1.0, answered_ms)

    def _close(self, result: HeardResult, has_words: bool) -> list[Outcome]:
        """A final closes the open utterance, unless it ends before words that are committed already."""
        self._held = None
        utterance = self._open
        if utterance is None or (not has_words and result.end_ms < self.horizon.end_ms - NEAR_MS):
            return []
        if not utterance.clauses:  # only partials so far, and nothing has come of them: the caption is emptied
            if not self._last_partial:
                return []
            self._last_partial = []
            return [self._outcome(utterance, "partial", [], 0, 1.0, result.answered_ms)]
        utterance.words = [_with_confidence(word, result.words) for word in utterance.words]
        return self.close(result.answered_ms)

    def _offer_partial(self, tail: HeardResult, score: float | None, now_ms: int) -> list[Outcome]:
        if not tail.words or list(tail.words) == self._last_partial:
            self._held = None
            return []
        if score is None:
            since_ms = self._held_until_ms if self._held is not None else now_ms + UNSCORED_WAIT_MS
            return self._hold(tail, 0.0, since_ms, now_ms)
        if score < self._threshold:
            return []
        return self._hold(tail, score, self._next_partial_ms, now_ms)

    def _hold(self, tail: HeardResult, score: float, until_ms: int, now_ms: int) -> list[Outcome]:
        self._held, self._held_score, self._held_until_ms = tail, score, until_ms
        return self.on_timer(now_ms)

    def _partial(self, tail: HeardResult, now_ms: int) -> Outcome:
        self._next_partial_ms = now_ms + PARTIAL_EVERY_MS
        words = list(tail.words)
        self._last_partial = words
        utterance = self._opened_at(words[0].start_ms)
        return self._outcome(utterance, "partial", words, utterance.clauses, self._held_score, tail.answered_ms)

    def _opened_at(self, start_ms: int) -> OpenUtterance:
        if self._open is None:
            self._open = OpenUtterance(f"{self._session_id}:{start_ms}", words=[])
        return self._open

    def _outcome(
        self, utterance: OpenUtterance, status: Status, words: list[Word], clause: int, score: float, answered_ms: int
    ) -> Outcome:
        utterance.revision += 1
        joint = "" if self.language.startswith(UNSPACED_LANGUAGES) else " "
        transcript = Transcript(
            session_id=self._session_id,
            utterance_id=utterance.utterance_id,
            status=status,
            source_language=self.language,
            transcript_text=joint.join(word.text for word in words),
            words=list(words),
            start_ms=words[0].start_ms if words else self.horizon.end_ms,
            end_ms=words[-1].end_ms if words else self.horizon.end_ms,
            clause=clause,
            revision=utterance.revision,
            stability_score=score,
            timestamp=0,
        )
        return Outcome(transcript, answered_ms)


def _stable_beginning(stable: Sequence[bool | None]) -> int:
    """How many words from the first on are stable."""
    for i, flag in enumerate(stable):
        if not flag:
            return i
    return len(stable)


def _score(stable: Sequence[bool | None]) -> float | None:
    """Row T2's stability: the share of stable words; None when the recogniser does not say."""
    if not stable or all(flag is None for flag in stable):
        return None
    return sum(flag is True for flag in stable) / len(stable)


def _with_confidence(word: Word, heard: Sequence[Word]) -> Word:
    """A committed word with the confidence that the final gives it."""
    if word.confidence is not None:
        return word
    same = next((other for other in heard if is_same(word, other)), None)
    return word if same is None else Word(word.text, word.start_ms, word.end_ms, same.confidence)
