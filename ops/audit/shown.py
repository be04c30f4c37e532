"""An audit for people: a table, then each finding with its place. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from ops.audit.result import Audit, Finding, LanguageAccount

SHOWN: Final = 50
"""Findings of one kind that are printed; `--json` has them all."""
_STATES: Final = {
    "going_on": "is still going on: what is under way is not counted as lost",
    "ending": "has ended, and its end has not come to the listeners yet",
    "over": "is over",
}
_COLUMNS: Final = (
    ("wanted", "wanted"),
    ("spoken", "spoken"),
    ("captioned", "captioned"),
    ("too late", "skipped"),
    ("named", "named"),
    ("under way", "under_way"),
    ("lost", "lost"),
    ("twice", "duplicated"),
    ("disorder", "reordered"),
    ("reached", "reached"),
    ("missed", ""),
)


def text(audit: Audit) -> str:
    """All of it."""
    lines = [f"Session {audit.session_id} {_STATES[audit.state]}.", ""]
    lines += _account(audit)
    if audit.languages:
        lines += ["", *_languages(audit)]
    if audit.notes:
        lines += ["", "To know", *_findings(audit.notes)]
    lines += ["", "Off", *_findings(audit.findings)] if audit.findings else ["", "Nothing is off."]
    return "\n".join(lines) + "\n"


def _account(audit: Audit) -> list[str]:
    sound, words, end = audit.sound, audit.words, audit.end
    told = "not told yet" if end.told is None else f"{end.told} listeners told, {end.missed} not"
    return [
        f"  audio        {sound.duration_ms / 1000:.1f} s in {sound.chunks} chunks: {sound.missing} missing,"
        f" {sound.late} too late, {sound.repeats} repeats dropped, {sound.reordered} put in order,"
        f" {sound.refused} refused while paused",
        f"  sound        {sound.audible_ms / 1000:.1f} s can be heard, {sound.unheard_ms / 1000:.1f} s in no utterance",
        f"  transcripts  {words.utterances} utterances, {words.clauses} clauses, {words.words} words;"
        f" {words.open} utterances open, {words.again} words said again and dropped, {words.repeats} repeats dropped",
        f"  end          {told}",
        f"  dead letters {len(audit.dead_letters)}",
    ]


def _languages(audit: Audit) -> Iterator[str]:
    yield "  clauses " + "".join(f"{title:>11}" for title, _ in _COLUMNS)
    for code, account in audit.languages.items():
        yield f"  {code:<8}" + "".join(f"{_value(account, name):>11}" for _, name in _COLUMNS)


def _value(account: LanguageAccount, name: str) -> int:
    return int(getattr(account, name)) if name else account.failed + account.dropped


def _findings(findings: Iterable[Finding]) -> Iterator[str]:
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.code, []).append(finding)
    for code, several in kinds.items():
        for finding in several[:SHOWN]:
            yield f"  {finding.sentence}"
            if finding.place is not None:
                place = finding.place
                yield f"      at {place.stream} / {place.shard_id} / {place.sequence_number}"
        if len(several) > SHOWN:
            yield f"  ... and {len(several) - SHOWN} more of the kind {code}; --json has them all"
