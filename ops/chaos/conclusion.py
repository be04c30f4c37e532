"""From what was seen to the report. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ops.audit.result import Audit
from ops.chaos import account, report
from ops.chaos.account import Arrival, Lost, Odd
from ops.chaos.deeds import Deed, described
from ops.chaos.plan import Plan
from ops.chaos.streams import Letter
from ops.chaos.talks import Session
from ops.chaos.watch import BreakerNews


class Seen(NamedTuple):
    """What was seen of a run. ended: stages that ended unasked. audits: of each session, from the streams. logs: where
    they are."""

    plan: Plan
    runner: str
    sessions: Sequence[Session]
    deeds: Sequence[Deed]
    ended: Sequence[str]
    letters: Sequence[Letter]
    audits: Sequence[Audit]
    memory_mib: dict[str, float]
    breakers: list[BreakerNews]
    logs: str
    wall_s: float


class _Heard(NamedTuple):
    """All listeners together."""

    to_hear: dict[str, int]
    heard: dict[str, int]
    lost: list[Lost]
    odd: list[Odd]
    skipped: int
    arrivals: list[list[Arrival]]


def conclude(seen: Seen) -> report.Report:
    """The report."""
    deeds = sorted(seen.deeds, key=lambda deed: deed.began_ms)
    words = _heard(seen.sessions)
    seats = [seat for session in seen.sessions for seat in session.seats]
    everything = sorted((one for several in words.arrivals for one in several), key=lambda one: one.came_ms)
    normal = account.normal(everything, deeds[0].began_ms if deeds else 0)
    recoveries = account.recoveries_ms(deeds, words.arrivals, normal.p95_ms)
    last_fifth = everything[-max(1, len(everything) // 5) :]
    not_told = [
        f"{session.speaker.session_id} in {seat.language}"
        for session in seen.sessions
        for seat in session.seats
        if not seat.told
    ]
    failures = [f"the speaker of {one.speaker.session_id}: {one.failure}" for one in seen.sessions if one.failure]
    audited = [f"audit of {one.session_id}: {finding.sentence}" for one in seen.audits for finding in one.findings]
    found = list(report.findings(words.lost, words.odd, seen.letters, not_told, [*failures, *audited]))
    what = Counter(one.what for one in words.odd)
    return report.Report(
        ok=not found,
        name=seen.plan.name,
        seed=seen.plan.seed,
        runner=seen.runner,
        sessions=len(seen.sessions),
        talk_s=seen.plan.talk_s,
        wall_s=seen.wall_s,
        words_spoken=sum(len(session.spoken) for session in seen.sessions),
        to_hear=words.to_hear,
        heard=words.heard,
        lost=len(words.lost),
        duplicated=what["duplicated"],
        reordered=what["reordered"],
        unspoken=what["unspoken"],
        skipped=words.skipped,
        repeats=sum(seat.ear.repeats for seat in seats),
        dead_letters=len(seen.letters),
        audit_findings=len(audited),
        not_told=len(not_told),
        faults=report.counted(deeds),
        longest_pause_ms=max((account.longest_pause_ms(seat.sounds_ms) for seat in seats), default=0),
        delay_ms={
            "normal": normal.p50_ms,
            "max": max((one.delay_ms for one in everything), default=0),
            "last": account.normal(last_fifth, 0).p50_ms,
        },
        recovery_ms=report.recovery(deeds, recoveries),
        back_to_normal_ms=max(recoveries[-1:], default=0),
        door=_door(seen.sessions),
        breakers={
            "opened": sum(one.what.startswith("open") for one in seen.breakers),
            "closed": sum(one.what.startswith("closed") for one in seen.breakers),
        },
        memory_mib=seen.memory_mib,
        findings=found,
        notes=[*(f"{described(deed.fault)}: {deed.note}" for deed in deeds if deed.note), *seen.ended],
        deeds=deeds,
        breaker_news=seen.breakers,
        logs=seen.logs,
    )


def _heard(sessions: Sequence[Session]) -> _Heard:
    all_of = _Heard({}, {}, [], [], 0, [])
    skipped = 0
    for session in sessions:
        spoken = [(word.number, word.start_ms) for word in session.spoken]
        said = [word.number for word in session.script.words]
        for seat in session.seats:
            clauses = seat.ear.heard
            left_out = seat.ear.skipped.values()
            verdict = account.judge(session.speaker.session_id, seat.language, spoken, said, clauses, left_out)
            all_of.to_hear[seat.language] = all_of.to_hear.get(seat.language, 0) + len(spoken)
            all_of.heard[seat.language] = all_of.heard.get(seat.language, 0) + verdict.heard
            all_of.lost.extend(verdict.lost)
            all_of.odd.extend(verdict.odd)
            all_of.arrivals.append(account.arrivals(session.speaker.started_ms, clauses))
            skipped += verdict.skipped
    return all_of._replace(skipped=skipped)


def _door(sessions: Sequence[Session]) -> report.Door:
    speakers = [session.speaker for session in sessions]
    refused: Counter[str] = Counter()
    for speaker in speakers:
        refused.update(speaker.refused)
    return report.Door(
        refused=dict(refused),
        again=sum(speaker.resent for speaker in speakers),
        unacknowledged=sum(len(speaker.missing) for speaker in speakers),
    )
