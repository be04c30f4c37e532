"""What a session had emitted between its snapshot and its end on another worker. Pure.

The inputs after the snapshot come again. What they caused then is found here by its id and not caused twice: captions
by utterance, language and end (each committed clause had one caption, which ends where the clause ends), speech by
utterance, clause and language.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from streams.records import Caption, SpeechPart


class ClauseId(NamedTuple):
    """A clause, as its captions have it."""

    utterance_id: str
    end_ms: int


class Emitted:
    """Looked up by the clauses that come again.

    What was passed over then is passed over now: a language in which a later clause was out does not get an earlier one
    after it.
    """

    def __init__(self) -> None:
        self._texts: dict[ClauseId, dict[str, str]] = {}
        self._finals: set[tuple[str, str]] = set()
        self._speech: dict[tuple[str, int, str], SpeechPart] = {}
        self._captioned_ms: dict[str, int] = {}
        self._spoken_ms: dict[str, int] = {}

    def note_caption(self, caption: Caption, grown_by: str) -> None:
        """grown_by: the committed text that it added to the caption before."""
        if caption.final:
            self._finals.add((caption.utterance_id, caption.language))
        elif grown_by:
            texts = self._texts.setdefault(ClauseId(caption.utterance_id, caption.end_ms), {})
            texts[caption.language] = grown_by
            self._captioned_ms[caption.language] = max(caption.end_ms, self.captioned_ms(caption.language))

    def note_speech(self, speech: SpeechPart) -> None:
        """Keeps the last part, without its sound."""
        key = speech.utterance_id, speech.clause, speech.language
        self._speech[key] = msgspec.structs.replace(speech, pcm=b"")
        self._spoken_ms[speech.language] = max(speech.end_ms, self._spoken_ms.get(speech.language, 0))

    def captioned_ms(self, language: str) -> int:
        """The media time that committed captions had reached."""
        return self._captioned_ms.get(language, 0)

    def languages(self, clause: ClauseId, listening: Iterable[str]) -> list[str]:
        """The languages that the clause is for: those that listen now, and those that have its caption."""
        texts = self._texts.get(clause, {})
        fresh = {language for language in listening if self.captioned_ms(language) < clause.end_ms}
        return sorted(fresh | set(texts))

    def text(self, clause: ClauseId, language: str) -> str | None:
        """The clause's text, if its caption was out."""
        return self._texts.get(clause, {}).get(language)

    def is_final(self, utterance_id: str, language: str) -> bool:
        """Whether the utterance's last caption was out."""
        return (utterance_id, language) in self._finals

    def last_part(self, utterance_id: str, clause: int, language: str) -> SpeechPart | None:
        """The last part that was out."""
        return self._speech.get((utterance_id, clause, language))

    def is_passed_over(self, end_ms: int, language: str) -> bool:
        """Whether a later clause was spoken."""
        return end_ms < self._spoken_ms.get(language, 0)
