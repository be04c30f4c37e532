"""The audit as a whole: evidence in, result out. Pure."""

from typing import Final

from ops.audit.evidence import Evidence, Letter
from ops.audit.languages import languages
from ops.audit.receipts import end, receipts
from ops.audit.result import Audit, EndAccount, Finding, LetterLine, State, place_at, place_of
from ops.audit.sound import sound
from ops.audit.words import words

GIVEN_UP_MS: Final = 10 * 60_000
"""So long after a session's end, what has not come is taken to be lost, though its end has not come through either."""
SETTLED_MS: Final = 60_000
"""How long after what one stream has first, what it caused is in all of them: an utterance, a stage's start."""


def audit(evidence: Evidence) -> Audit:
    """What became of every word of a session."""
    told, end_findings = end(evidence)
    state = _state(evidence, told)
    ended_ms = told.in_audio_at_ms or evidence.ended_at_ms
    given_up = ended_ms is not None and evidence.read_at_ms - ended_ms > GIVEN_UP_MS
    over = state == "over" or given_up
    audio = sound(evidence, over=over)
    committed = words(evidence.transcripts)
    whole_from_ms = _whole_from_ms(evidence)
    clauses = [clause for clause in committed.clauses if clause.seen.written_ms >= whole_from_ms]
    accounts, by_language, off = languages(evidence, clauses, over=over)
    receipts_off, notes = receipts(evidence, by_language, accounts, over=over)
    findings = [*audio.findings, *committed.findings, *off, *receipts_off, *end_findings, *_letters_off(evidence)]
    if over:
        findings += _unread(evidence)
    if evidence.trimmed:
        findings = _since(whole_from_ms, evidence, findings)
    notes = [*audio.notes, *notes, *_notes(evidence)]
    return Audit(
        session_id=evidence.session_id,
        state=state,
        ok=not findings,
        created_at_ms=evidence.created_at_ms,
        ended_at_ms=evidence.ended_at_ms if evidence.ended_at_ms is not None else told.in_audio_at_ms,
        listeners_known=evidence.listening is not None,
        sound=audio.account,
        words=committed.account,
        languages=accounts,
        end=told,
        dead_letters=[_line(letter) for letter in evidence.letters],
        findings=findings,
        notes=notes,
    )


def _whole_from_ms(evidence: Evidence) -> int:
    """From when on all streams have everything, where the beginning of some is past its retention."""
    streams = {
        "audio": evidence.audio,
        "transcripts": evidence.transcripts,
        "speech": evidence.speech,
        "receipts": evidence.receipts,
    }
    return max((streams[name][0].written_ms + SETTLED_MS for name in evidence.trimmed if streams[name]), default=0)


def _since(from_ms: int, evidence: Evidence, findings: list[Finding]) -> list[Finding]:
    rows = [*evidence.audio, *evidence.transcripts, *evidence.speech, *evidence.receipts]
    before = {place_of(seen) for seen in rows if seen.written_ms < from_ms}
    return [finding for finding in findings if finding.place not in before]


def _state(evidence: Evidence, told: EndAccount) -> State:
    if told.receipt_at_ms is not None:
        return "over"
    return "ending" if told.in_audio_at_ms is not None or evidence.ended_at_ms is not None else "going_on"


def _line(letter: Letter) -> LetterLine:
    return LetterLine(
        id=letter.id,
        stage=letter.stage,
        place=place_at(letter.stream, letter.position),
        code=letter.failure.code,
        reason=letter.failure.message,
        attempts=letter.attempts,
        buried_at_ms=letter.buried_at_ms,
        redriven=letter.redriven,
    )


def _letters_off(evidence: Evidence) -> list[Finding]:
    """A letter that was sent back is settled: what it held is counted where it went, be it as another letter."""
    return [
        Finding(
            "dead_letter",
            f"{letter.stage} could not process a record ({letter.failure.code}: {letter.failure.message});"
            f" it is kept as {letter.id}",
            place_at(letter.stream, letter.position),
        )
        for letter in evidence.letters
        if letter.redriven_at_ms is None
    ]


def _unread(evidence: Evidence) -> list[Finding]:
    """Bytes under the session's key that are no record, and that their reader did not keep."""
    named = {(letter.stream, letter.position) for letter in evidence.letters}
    rows = [*evidence.audio, *evidence.transcripts, *evidence.speech]
    sentence = "bytes that are no record, and no dead letter names them"
    return [
        Finding("unreadable", sentence, place_of(seen))
        for seen in rows
        if seen.record is None and (seen.stream, seen.position) not in named
    ]


def _notes(evidence: Evidence) -> list[Finding]:
    notes = [
        Finding("trimmed", f"the beginning of the {name} stream is past its retention: what was there is not counted")
        for name in evidence.trimmed
    ]
    if evidence.listening is None:
        sentence = "the journal does not say who listened when: a language counts from its first to its last caption"
        notes.append(Finding("listeners_unknown", sentence))
    return notes
