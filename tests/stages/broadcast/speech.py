"""Records of the speech stream, for tests."""

from streams.records import NEUTRAL, Caption, SessionEvent, SpeechPart

SESSION = "golden-eagle-427"


def speech(
    clause: int = 0,
    *,
    ms: int = 1_000,
    text: str = "hola",
    part: int = 0,
    parts: int = 1,
    offset_ms: int = 0,
    total_ms: int | None = None,
    language: str = "es",
) -> SpeechPart:
    """A clause of so many milliseconds; its samples count up."""
    samples = (index % 32_000 for index in range(offset_ms * 16, (offset_ms + ms) * 16))
    return SpeechPart(
        session_id=SESSION,
        utterance_id=f"{SESSION}:0",
        clause=clause,
        language=language,
        sequence=clause,
        text=text,
        ssml="<speak/>",
        voice="Lucia",
        dynamics=NEUTRAL,
        sample_rate_hz=16_000,
        pcm=b"".join(sample.to_bytes(2, "little") for sample in samples),
        start_ms=clause * 1_000,
        end_ms=clause * 1_000 + 900,
        part=part,
        parts=parts,
        offset_bytes=offset_ms * 32,
        total_bytes=(total_ms or ms) * 32,
        times_ms={"captured": 1},
    )


def caption(
    revision: int = 0, *, final: bool = False, text: str = "hola", utterance: int = 0, session_id: str = SESSION
) -> Caption:
    """In Spanish."""
    return Caption(
        session_id=session_id,
        utterance_id=f"{session_id}:{utterance}",
        language="es",
        revision=revision,
        text=text,
        committed=len(text),
        final=final,
        start_ms=0,
        end_ms=900,
    )


def event(name: str = "ended", *, volume: float | None = None, version: int = 0) -> SessionEvent:
    """A session event."""
    return SessionEvent(
        session_id=SESSION,
        event=name,  # type: ignore[arg-type]  # tests give literals
        timestamp=7,
        reason="speaker",
        volume=volume,
        version=version,
    )
