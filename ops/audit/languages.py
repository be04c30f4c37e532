"""Captions and speech of each language, beside what was committed. Pure.

What was written twice under one id is counted and dropped, as every reader drops it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ops.audit.evidence import Evidence, Listening, Seen, captions_of, is_skipped, speech_of
from ops.audit.result import Finding, LanguageAccount, clause_name, place_of
from ops.audit.words import Clause
from streams import times
from streams.records import Caption, SpeechPart
from streams.stage import Position


class Spoken(NamedTuple):
    """A clause's speech: its first part as it came, the bytes of each part by number, and where they all stand."""

    seen: Seen
    first: SpeechPart
    parts: dict[int, int]
    positions: set[Position]

    @property
    def key(self) -> tuple[str, int]:
        """By what it belongs to a committed clause."""
        return self.first.utterance_id, self.first.clause

    @property
    def name(self) -> str:
        """For people."""
        return clause_name(*self.key)

    @property
    def is_whole(self) -> bool:
        """Whether no part, and nothing of a part, is missing."""
        return len(self.parts) == self.first.parts and sum(self.parts.values()) in (self.first.total_bytes, 0)


class Heard(NamedTuple):
    """One language as it is on the speech stream. captions: the first of each revision, in order. skipped: clauses that
    were left unspoken as too late, and where that is said."""

    captions: list[tuple[Seen, Caption]]
    spoken: list[Spoken]
    skipped: dict[tuple[str, int], Seen]
    repeats: int = 0


def heard(rows: Sequence[Seen]) -> dict[str, Heard]:
    """By language."""
    found: dict[str, Heard] = {}
    clauses: dict[tuple[str, str, int], Spoken] = {}
    revisions: set[tuple[str, str, int]] = set()
    for seen, caption in captions_of(rows):
        language = found.setdefault(caption.language, Heard([], [], {}))
        key = (caption.language, caption.utterance_id, caption.revision)
        if key in revisions:
            found[caption.language] = language._replace(repeats=language.repeats + 1)
        else:
            revisions.add(key)
            language.captions.append((seen, caption))
    for seen, part in speech_of(rows):
        language = found.setdefault(part.language, Heard([], [], {}))
        if is_skipped(part):
            language.skipped.setdefault((part.utterance_id, part.clause), seen)
            continue
        spoken = clauses.get((part.language, part.utterance_id, part.clause))
        if spoken is None:
            spoken = clauses[part.language, part.utterance_id, part.clause] = Spoken(seen, part, {}, set())
            language.spoken.append(spoken)
        spoken.positions.add(seen.position)
        if part.part in spoken.parts:
            found[part.language] = language._replace(repeats=language.repeats + 1)
        else:
            spoken.parts[part.part] = seen.size_bytes
    return found


def languages(
    evidence: Evidence, clauses: Sequence[Clause], *, over: bool
) -> tuple[dict[str, LanguageAccount], dict[str, Heard], list[Finding]]:
    """Every language's account, what was heard in each, and what is off. over: nothing more will come."""
    by_language = heard(evidence.speech)
    codes = by_language.keys() | {code for told in evidence.listening or [] for code in told.languages}
    named = {letter.position for letter in evidence.letters if letter.stage == "translate"}
    accounts: dict[str, LanguageAccount] = {}
    findings: list[Finding] = []
    given_ms = _given_ms(evidence, clauses)
    for code in sorted(codes):
        one = by_language.get(code, Heard([], [], {}))
        wanted = _wanted(code, clauses, one, evidence.listening, given_ms)
        accounts[code], off = _account(code, clauses, wanted, one, named, over=over)
        findings += [*off, *_numbers(code, one, from_first="speech" not in evidence.trimmed)]
    return accounts, by_language, findings


def _given_ms(evidence: Evidence, clauses: Sequence[Clause]) -> list[int]:
    """When translate was given each clause: as the journal says, else as its speech says, else when it was written."""
    by_speech = {
        (part.utterance_id, part.clause): part.times_ms[times.TRANSLATE_READ]
        for _, part in speech_of(evidence.speech)
        if times.TRANSLATE_READ in part.times_ms
    }
    return [
        evidence.given_ms.get(clause.seen.position, by_speech.get(clause.key, clause.seen.written_ms))
        for clause in clauses
    ]


def _wanted(
    code: str,
    clauses: Sequence[Clause],
    one: Heard,
    listening: Sequence[Listening] | None,
    given_ms: Sequence[int],
) -> list[bool]:
    """Whether each clause had to come in this language.

    With a journal: if translate was told of the language both before and after it was given the clause (a listener who
    came or went just then may have it or not). Without: between what the language was given first and last.
    """
    if listening is not None:
        moments = [told.at_ms for told in listening]
        return [_listened(code, listening, moments, at_ms) for at_ms in given_ms]
    given = {spoken.key for spoken in one.spoken} | one.skipped.keys() | _captioned(clauses, one)
    which = [i for i, clause in enumerate(clauses) if clause.key in given]
    return [bool(which) and which[0] <= i <= which[-1] for i in range(len(clauses))]


def _listened(code: str, listening: Sequence[Listening], moments: Sequence[int], at_ms: int) -> bool:
    after = bisect_left(moments, at_ms)
    before = bisect_right(moments, at_ms) - 1
    around = [listening[i] for i in {before, after} if 0 <= i < len(listening)]
    return bool(around) and all(code in told.languages for told in around)


def _captioned(clauses: Sequence[Clause], one: Heard) -> set[tuple[str, int]]:
    """Clauses that have a caption: one that ends where the clause ends, and has committed more than the one before."""
    ends: set[tuple[str, int]] = set()
    committed: dict[str, int] = {}
    for _, caption in one.captions:
        if not caption.final and caption.committed > committed.get(caption.utterance_id, 0):
            ends.add((caption.utterance_id, caption.end_ms))
            committed[caption.utterance_id] = caption.committed
    return {clause.key for clause in clauses if (clause.utterance_id, clause.end_ms) in ends}


def _account(
    code: str, clauses: Sequence[Clause], wanted: Sequence[bool], one: Heard, named: set[Position], *, over: bool
) -> tuple[LanguageAccount, list[Finding]]:
    account = LanguageAccount(repeats=one.repeats)
    findings = [*_order(code, one, account), *_rewritten(code, one, account)]
    spoken = {each.key: each for each in one.spoken}
    captioned = _captioned(clauses, one)
    frontier = max(
        (i for i, clause in enumerate(clauses) if clause.key in spoken or clause.key in one.skipped), default=-1
    )
    last = max((i for i, clause in enumerate(clauses) if clause.key in captioned), default=-1)
    for i, clause in enumerate(clauses):
        said = spoken.pop(clause.key, None)
        skipped = clause.key in one.skipped
        if not (wanted[i] or said is not None or skipped or clause.key in captioned):
            continue
        account.wanted += 1
        account.captioned += clause.key in captioned
        if said is not None and said.is_whole:
            account.spoken += 1
        elif said is None and skipped:
            account.skipped += 1
        elif clause.seen.position in named:
            account.named += 1
        elif not over and i >= frontier:
            account.under_way += 1
        else:
            account.lost += 1
            findings.append(_lost(code, clause, said))
        if clause.key not in captioned and clause.seen.position not in named and (over or i < last):
            sentence = f"{clause.name} has no caption in {code}"
            findings.append(Finding("caption_missing", sentence, place_of(clause.seen), code))
    for each in spoken.values():
        sentence = f"{each.name} was spoken in {code} and is in no transcript"
        findings.append(Finding("spoken_uncommitted", sentence, place_of(each.seen), code))
    return account, findings


def _lost(code: str, clause: Clause, said: Spoken | None) -> Finding:
    if said is None:
        sentence = f"{clause.name} was not spoken in {code}"
        return Finding("clause_lost", sentence, place_of(clause.seen), code)
    missing = sorted(set(range(said.first.parts)) - said.parts.keys())
    what = f"parts {', '.join(map(str, missing))} of {said.first.parts}" if missing else "some of its bytes"
    return Finding("parts_missing", f"of {clause.name} {what} never came in {code}", place_of(said.seen), code)


def _order(code: str, one: Heard, account: LanguageAccount) -> Iterator[Finding]:
    end_ms = 0
    for number, each in enumerate(one.spoken):
        middle = (each.first.start_ms + each.first.end_ms) / 2
        before = one.spoken[:number] if middle < end_ms else []
        if any(other.first.start_ms <= middle < other.first.end_ms for other in before):
            account.duplicated += 1
            yield Finding("spoken_twice", f"{each.name} says in {code} what was said before", place_of(each.seen), code)
        end_ms = max(end_ms, each.first.end_ms)
        if list(each.parts) != sorted(each.parts):
            sentence = f"the parts of {each.name} are out of order in {code}"
            yield Finding("parts_out_of_order", sentence, place_of(each.seen), code)
    for earlier, later in pairwise(one.spoken):
        if later.first.sequence < earlier.first.sequence or later.first.start_ms < earlier.first.start_ms:
            account.reordered += 1
            sentence = f"{later.name} was spoken in {code} after {earlier.name}, which is later"
            yield Finding("spoken_out_of_order", sentence, place_of(later.seen), code)


def _numbers(code: str, one: Heard, *, from_first: bool) -> Iterator[Finding]:
    """Clauses of a language are numbered from 0: a number that is missing is a clause that was lost on the stream."""
    numbers = sorted({each.first.sequence for each in one.spoken})
    places = {each.first.sequence: each.seen for each in one.spoken}
    for earlier, later in pairwise([-1, *numbers] if from_first else numbers):
        if later > earlier + 1:
            sentence = f"spoken clauses {earlier + 1} to {later - 1} of {code} are not in the speech stream"
            yield Finding("sequence_gap", sentence, place_of(places[later]), code)


def _rewritten(code: str, one: Heard, account: LanguageAccount) -> Iterator[Finding]:
    last: dict[str, Caption] = {}
    for seen, caption in one.captions:
        before = last.get(caption.utterance_id)
        if before is not None and caption.revision < before.revision:
            continue  # overtaken: no listener shows it
        if before is not None and not caption.text.startswith(before.text[: before.committed]):
            account.rewritten += 1
            sentence = (
                f"caption {caption.revision} of utterance {caption.utterance_id} changes committed text in {code}"
            )
            yield Finding("caption_rewritten", sentence, place_of(seen), code)
        last[caption.utterance_id] = caption


def spoken_texts(rows: Sequence[Seen]) -> dict[str, list[str]]:
    """What was said in each language, clause by clause, each once, in the order of the stream: for whoever knows what
    should have been said. rows: of the speech stream."""
    return {code: [each.first.text for each in one.spoken] for code, one in heard(rows).items()}
