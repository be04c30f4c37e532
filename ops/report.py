"""What became of a talk: the object of `herald demo --json`, and the same for people. Keys are stable."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ops.account import Account, account
from ops.hops import END_TO_END, HOPS, PIPELINE_OWN, Spread, spreads
from ops.listener import Ear
from ops.observed import Observed
from streams.records import NEUTRAL, EmotionFrame, Receipt, Transcript


class Audio(msgspec.Struct):
    """A recording."""

    file: str
    duration_ms: int


class Chunks(msgspec.Struct):
    """The speaker's chunks. refused: given up; resent: messages that repeated a chunk, which was refused in passing or
    not answered."""

    sent: int
    acknowledged: int
    refused: int
    resent: int = 0


class Emotion(msgspec.Struct):
    """Row E1's values over an utterance."""

    volume: float
    rate: float
    energy: float


class Said(msgspec.Struct):
    """An utterance as recognised; times on the media clock."""

    utterance_id: str
    start_ms: int
    end_ms: int
    text: str
    emotion: Emotion


class CaptionLine(msgspec.Struct):
    """A caption as it reached the listener."""

    utterance_id: str
    revision: int
    text: str
    final: bool
    at_ms: int


class HeardLine(msgspec.Struct):
    """A clause's speech as it reached the listener. at_ms: when it came; start_ms, end_ms: the speaker's words."""

    utterance_id: str
    clause: int
    text: str
    audio_ms: int
    at_ms: int
    ssml: str
    start_ms: int
    end_ms: int


class Language(msgspec.Struct):
    """What the first listener of a language got. rewrites: captions whose committed text changed; tail_rewrites: whose
    text did not just grow; repeats: messages that the listener had had before."""

    captions: list[CaptionLine]
    heard: list[HeardLine]
    wav: str
    rewrites: int
    tail_rewrites: int
    repeats: int
    listeners: int


class Report(msgspec.Struct):
    """The whole. skipped: clauses that were too late to be spoken (row S8); audible_ms: sound in the talk; unheard_ms:
    of that, in no utterance; not_told: listeners that were not told that the session had ended."""

    session_id: str
    audio: list[Audio]
    chunks: Chunks
    said: list[Said]
    languages: dict[str, Language]
    lost: int
    duplicated: int
    reordered: int
    skipped: int
    audible_ms: int
    unheard_ms: int
    not_told: int
    hops_ms: dict[str, Spread]
    wall_s: float
    first_sound_s: float | None
    page: str


def said(observed: Observed) -> list[Said]:
    """Every utterance that was closed, with the emotion of its own span."""
    return [
        Said(t.utterance_id, t.start_ms, t.end_ms, t.transcript_text, _emotion(t, observed.emotions))
        for t in observed.transcripts
        if t.status == "final"
    ]


def _emotion(utterance: Transcript, frames: Iterable[EmotionFrame]) -> Emotion:
    inside = [f for f in frames if f.start_ms < utterance.end_ms and f.end_ms > utterance.start_ms and f.voiced_ms]
    weight = sum(frame.voiced_ms for frame in inside)
    if not weight:
        return Emotion(NEUTRAL.volume, NEUTRAL.rate, NEUTRAL.energy)
    mean = [sum(getattr(f, name) * f.voiced_ms for f in inside) / weight for name in ("volume", "rate", "energy")]
    return Emotion(*(round(value, 3) for value in mean))


def moments(observed: Observed) -> list[Receipt]:
    """The receipts of spoken clauses: each has all the moments of its clause's way."""
    return [r for r in observed.receipts if r.of == "speech" and r.reached and not r.skipped_by]


def language(code: str, ears: Sequence[Ear], observed: Observed, started_ms: int, wav: str) -> Language:
    """One language, as its first listener got it."""
    ear = ears[0]
    ssml = {(s.utterance_id, s.clause): s.ssml for s in observed.speech if s.language == code}
    return Language(
        captions=[
            CaptionLine(c.utterance_id, c.revision, c.text, c.final, c.at_unix_ms - started_ms) for c in ear.captions
        ],
        heard=[
            HeardLine(
                h.utterance_id,
                h.clause,
                h.text,
                h.audio_ms,
                h.at_unix_ms - started_ms,
                ssml.get((h.utterance_id, h.clause), ""),
                h.start_ms,
                h.end_ms,
            )
            for h in ear.heard
        ],
        wav=wav,
        rewrites=ear.rewrites,
        tail_rewrites=ear.tail_rewrites,
        repeats=sum(each.repeats for each in ears),
        listeners=len(ears),
    )


def accounts(observed: Observed, ears: Mapping[str, Sequence[Ear]]) -> Account:
    """All listeners' accounts together."""
    total = Account(0, 0, 0)
    for each in ears.values():
        for ear in each:
            total = total.plus(account(observed.transcripts, ear.heard, ear.skipped))
    return total


def hops(observed: Observed) -> dict[str, Spread]:
    """Where the time went."""
    return spreads(receipt.times_ms for receipt in moments(observed))


def text(report: Report) -> str:
    """The report for people."""
    lines = ["", f"Session {report.session_id}", "", "Said"]
    for utterance in report.said:
        e = utterance.emotion
        lines.append(f"  {_clock(utterance.start_ms)}  {utterance.text}")
        lines.append(f"         volume {e.volume:.2f}, rate {e.rate:.2f}, energy {e.energy:.2f}")
    for code, found in report.languages.items():
        lines += ["", f"Heard in {code} ({found.wav})"]
        lines += [f"  {_clock(clause.at_ms)}  {clause.text}" for clause in found.heard]
        lines.append(
            f"         captions {len(found.captions)}, unstable tails rewritten {found.tail_rewrites}, "
            f"committed text rewritten {found.rewrites}, repeats dropped {found.repeats}"
        )
    lines += ["", "Where the time went (ms)      p50      p95      max"]
    lines += _hop_lines(report.hops_ms)
    chunks = report.chunks
    lines += [
        "",
        f"Chunks: {chunks.sent} sent, {chunks.acknowledged} acknowledged, {chunks.refused} refused, "
        f"{chunks.resent} sent again",
        f"Clauses: {report.lost} lost, {report.duplicated} twice, {report.reordered} out of order, "
        f"{report.skipped} too late to be spoken",
        f"Sound: {report.audible_ms / 1000:.1f} s, of which {report.unheard_ms / 1000:.1f} s in no utterance",
        f"Look at: {report.page}",
    ]
    return "\n".join(lines) + "\n"


def _hop_lines(spread: Mapping[str, Spread]) -> list[str]:
    named = [(hop.name, f"{hop.kind:<6} {hop.what}") for hop in HOPS]
    named += [(PIPELINE_OWN, "all that is ours"), (END_TO_END, "from the last sound of the words to the listener")]
    return [
        f"  {name:<18} {spread[name].p50:>8.0f} {spread[name].p95:>8.0f} {spread[name].max:>8.0f}   {what}"
        for name, what in named
        if name in spread
    ]


def _clock(ms: int) -> str:
    return f"{ms // 60_000:02d}:{ms // 1000 % 60:02d}.{ms % 1000 // 100}"
