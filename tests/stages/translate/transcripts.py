"""Transcripts as the transcribe stage writes them, for tests."""

from streams.records import EmotionFrame, SessionEvent, Transcript, Word

SESSION = "golden-eagle-427"
WORD_MS = 300
UTTERANCE = f"{SESSION}:0"


def words(text: str, start_ms: int) -> list[Word]:
    """One after another, WORD_MS each."""
    return [
        Word(word, start_ms + i * WORD_MS, start_ms + (i + 1) * WORD_MS - 20) for i, word in enumerate(text.split())
    ]


def transcript(
    status: str, text: str, start_ms: int, *, clause: int = 0, revision: int = 0, utterance: str = UTTERANCE
) -> Transcript:
    """status: partial, clause or final."""
    spoken = words(text, start_ms)
    return Transcript(
        session_id=SESSION,
        utterance_id=utterance,
        status=status,  # type: ignore[arg-type]  # tests give literals
        source_language="en-US",
        transcript_text=text,
        words=spoken,
        start_ms=start_ms,
        end_ms=spoken[-1].end_ms if spoken else start_ms,
        clause=clause,
        revision=revision,
        stability_score=1.0,
        timestamp=start_ms,
        times_ms={"captured": 1},
    )


def event(name: str = "ended", timestamp: int = 1) -> SessionEvent:
    """A session event."""
    return SessionEvent(session_id=SESSION, event=name, timestamp=timestamp)  # type: ignore[arg-type]  # tests give literals


def frame(
    start_ms: int, *, level_db: float = -20.0, voiced_ms: int = 500, onsets: int = 2, session: str = SESSION
) -> EmotionFrame:
    """A frame of 500 ms with onsets evenly in it."""
    return EmotionFrame(
        session_id=session,
        start_ms=start_ms,
        end_ms=start_ms + 500,
        volume=0.4,
        rate=1.2,
        energy=0.3,
        level_db=level_db,
        voiced_ms=voiced_ms,
        onsets_ms=[start_ms + i * 500 // max(1, onsets) for i in range(onsets)],
    )
