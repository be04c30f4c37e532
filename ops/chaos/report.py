"""What a run says: the object of `--json` (stable keys), its findings in sentences, and the text for people. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

import msgspec

from ops.chaos.account import Lost, Odd
from ops.chaos.deeds import Deed
from ops.chaos.streams import Letter
from ops.chaos.watch import BreakerNews

SHOWN: Final = 20
"""Sentences of one kind; more are counted."""


class Recovery(msgspec.Struct):
    """Milliseconds from the end of a fault to the last clause that came late because of it."""

    p50: int
    max: int


class Door(msgspec.Struct):
    """What the door did not take at once. again: messages that repeated a chunk, refused in passing or unanswered.

    refused: chunks that were given up, by code; unacknowledged: in all, in the end.
    """

    refused: dict[str, int]
    again: int
    unacknowledged: int


class Report(msgspec.Struct):
    """A run. ok: nothing is off.

    words_spoken: whose every chunk was acknowledged, summed over sessions; heard: by language, over its listeners, out
    of to_hear. skipped: left unspoken on purpose and said so, a part of what was not heard and not of lost.
    delay_ms: from the end of a clause's words to its first sound: normal (median before the first fault), the most, and
    the median of the last fifth. back_to_normal_ms: from the end of the last fault to the last late clause.
    """

    ok: bool
    name: str
    seed: int
    runner: str
    sessions: int
    talk_s: float
    wall_s: float
    words_spoken: int
    to_hear: dict[str, int]
    heard: dict[str, int]
    lost: int
    duplicated: int
    reordered: int
    unspoken: int
    skipped: int
    repeats: int
    dead_letters: int
    audit_findings: int
    not_told: int
    faults: dict[str, int]
    longest_pause_ms: int
    delay_ms: dict[str, int]
    recovery_ms: dict[str, Recovery]
    back_to_normal_ms: int
    door: Door
    breakers: dict[str, int]
    memory_mib: dict[str, float]
    findings: list[str]
    notes: list[str]
    deeds: list[Deed]
    breaker_news: list[BreakerNews]
    logs: str


def recovery(deeds: Sequence[Deed], recoveries_ms: Sequence[int]) -> dict[str, Recovery]:
    """By kind of fault."""
    by_kind: dict[str, list[int]] = {}
    for deed, took_ms in zip(deeds, recoveries_ms, strict=True):
        by_kind.setdefault(deed.fault.kind, []).append(took_ms)
    return {kind: Recovery(round(median(took)), max(took)) for kind, took in sorted(by_kind.items())}


def counted(deeds: Sequence[Deed]) -> dict[str, int]:
    """Faults by kind."""
    return dict(sorted(Counter(deed.fault.kind for deed in deeds).items()))


def findings(
    lost: Sequence[Lost],
    odd: Sequence[Odd],
    letters: Sequence[Letter],
    not_told: Sequence[str],
    failures: Sequence[str],
) -> Iterator[str]:
    """A sentence for each thing that is off, with where to look."""
    yield from _some(
        [
            f"word {one.number} of {one.session_id} (at {one.start_ms} ms of its talk) was not heard in {one.language}"
            + (f": {one.parts_missing} parts of its clause never came" if one.parts_missing else "")
            + "; look for it in transcripts, then speech, then receipts"
            for one in lost
        ],
        "words were lost",
    )
    yield from _some(
        [
            f"word {one.number} of {one.session_id} in {one.language} was {one.what}, in utterance {one.utterance_id}; "
            f"look in {'transcripts' if one.what != 'reordered' else 'speech'}"
            for one in odd
        ],
        "words were heard wrongly",
    )
    yield from _some(
        [f"{one.stage} buried an input of {one.session_id}: {one.code}, {one.message} ({one.id})" for one in letters],
        "dead letters",
    )
    yield from (f"the listener {who} was not told that the session had ended" for who in not_told)
    yield from failures


def _some(sentences: Sequence[str], what: str) -> Iterator[str]:
    yield from sentences[:SHOWN]
    if len(sentences) > SHOWN:
        yield f"{len(sentences)} {what} in all; the first {SHOWN} are above"


def text(report: Report) -> str:
    """For people."""
    heard = ", ".join(
        f"{count} of {report.to_hear[language]} in {language}" for language, count in report.heard.items()
    )
    lines = [
        f"{report.name} {report.seed}, {report.runner} runner: {report.sessions} sessions of {report.talk_s:.0f} s",
        f"  words spoken {report.words_spoken}; heard {heard}",
        f"  lost {report.lost}, duplicated {report.duplicated}, reordered {report.reordered}; "
        f"skipped on purpose {report.skipped}; dead letters {report.dead_letters}",
        f"  longest pause {report.longest_pause_ms} ms; delay normally {report.delay_ms['normal']} ms, "
        f"at most {report.delay_ms['max']} ms, at the end {report.delay_ms['last']} ms",
        f"  at the door: {report.door.again} chunks sent again, {report.door.unacknowledged} never acknowledged",
        f"  memory of the stages: {report.memory_mib.get('stages', 0):.0f} MiB at the most; "
        f"breakers opened {report.breakers['opened']}, closed {report.breakers['closed']}",
        "  fault                 n   recovery p50   max (ms)",
    ]
    lines += [
        f"    {kind:<16} {report.faults[kind]:>5} {found.p50:>14} {found.max:>10}"
        for kind, found in report.recovery_ms.items()
    ]
    lines += [f"  note: {note}" for note in report.notes]
    lines.append("  nothing is off" if report.ok else f"  {len(report.findings)} findings; logs are in {report.logs}")
    return "\n".join(lines) + "\n"
