"""What listeners got, clause by clause, and whether they were told of the end. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from ops.audit.evidence import Evidence, end_of, is_skipped, receipts_of
from ops.audit.languages import Heard
from ops.audit.result import EndAccount, Finding, LanguageAccount, clause_name, place_of
from streams.records import Receipt

RECEIPT_WITHIN_MS: Final = 30_000
"""A delivery takes at most the listeners' backlog of 10 s; one that began later may end sooner."""
TOLD_WITHIN_MS: Final = 60_000
"""From a session's end to its listeners' knowing, when nothing is off."""


def receipts(
    evidence: Evidence, by_language: Mapping[str, Heard], accounts: Mapping[str, LanguageAccount], *, over: bool
) -> tuple[list[Finding], list[Finding]]:
    """Complete the languages' accounts; findings and notes."""
    had: dict[tuple[str, str, int], Receipt] = {}
    for _, written in receipts_of(evidence.receipts):
        if written.of == "speech":
            had.setdefault((written.language, written.utterance_id, written.clause), written)
    latest_ms = evidence.read_at_ms if over else max((seen.written_ms for seen in evidence.receipts), default=0)
    named = {letter.position for letter in evidence.letters if letter.stage == "broadcast"}
    findings: list[Finding] = []
    notes: list[Finding] = []
    for code, one in by_language.items():
        account = accounts[code]
        for spoken in one.spoken:
            receipt = had.get((code, *spoken.key))
            if receipt is not None and is_skipped(receipt) and spoken.is_whole:  # broadcast found it too late
                account.spoken -= 1
                account.skipped += 1
        keys = {spoken.key for spoken in one.spoken}
        told = [(key, seen, {seen.position}) for key, seen in one.skipped.items() if key not in keys]
        for key, seen, positions in [*((each.key, each.seen, each.positions) for each in one.spoken), *told]:
            receipt, name = had.get((code, *key)), clause_name(*key)
            if receipt is not None:
                _add(account, receipt)
                off, note = _misses(receipt, name, code)
                findings += [Finding("unheard", off, place_of(seen), code)] if off else []
                notes += [Finding("missed_by_some", note, place_of(seen), code)] if note else []
            elif not positions & named and latest_ms > seen.written_ms + RECEIPT_WITHIN_MS:
                sentence = f"{name} has no receipt in {code}: nobody knows whether it was heard"
                findings.append(Finding("receipt_missing", sentence, place_of(seen), code))
    return findings, notes


def _add(account: LanguageAccount, receipt: Receipt) -> None:
    account.received += 1
    account.reached += receipt.reached
    account.gone += receipt.gone
    account.failed += receipt.failed
    account.dropped += receipt.dropped


def _misses(receipt: Receipt, clause: str, code: str) -> tuple[str, str]:
    missed = receipt.failed + receipt.dropped
    if not missed:
        return "", ""
    if not receipt.reached:
        return f"{clause} reached nobody in {code}: {receipt.failed} posts failed, {receipt.dropped} were dropped", ""
    return "", f"{clause} was not, or not wholly, heard by {missed} of {missed + receipt.reached} listeners in {code}"


def end(evidence: Evidence) -> tuple[EndAccount, list[Finding]]:
    """Up to where the session's end has come, and what is off with it."""
    stations = [end_of(rows) for rows in (evidence.audio, evidence.transcripts, evidence.speech, evidence.receipts)]
    at_ms = [seen.written_ms if seen else None for seen in stations]
    told = stations[-1].record if stations[-1] else None
    account = EndAccount(*at_ms)
    if isinstance(told, Receipt):
        account.told, account.missed = told.reached, told.failed + told.dropped
    return account, list(_end_findings(evidence, account))


def _end_findings(evidence: Evidence, account: EndAccount) -> Iterator[Finding]:
    began_ms = account.in_audio_at_ms or evidence.ended_at_ms
    if account.missed:
        seen = end_of(evidence.receipts)
        sentence = f"{account.missed} listeners were not told that the session had ended"
        yield Finding("end_untold", sentence, place_of(seen) if seen else None)
    if began_ms is None or account.receipt_at_ms is not None or evidence.read_at_ms - began_ms < TOLD_WITHIN_MS:
        return
    after_s = (evidence.read_at_ms - began_ms) // 1000
    ways = (
        ("audio", account.in_audio_at_ms),
        ("transcripts", account.in_transcripts_at_ms),
        ("speech", account.in_speech_at_ms),
    )
    reached = [name for name, at_ms in ways if at_ms is not None]
    where = f"it has come to the {reached[-1]} stream and no further" if reached else "it is in no stream"
    rows = {"audio": evidence.audio, "transcripts": evidence.transcripts, "speech": evidence.speech}
    last = end_of(rows[reached[-1]]) if reached else None
    sentence = f"the session ended {after_s} s ago and listeners were not told: {where}"
    yield Finding("end_stuck", sentence, place_of(last) if last else None)
