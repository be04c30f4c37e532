"""Named runs: one thing fails thoroughly, and how it is weathered is measured."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ops.chaos.plan import LEAD_S, Fault, Plan, Talk, plan

QUIET_AFTER_S: Final = 210.0
"""Talk after the fault: a breaker that has just opened closes after 60 s, and what speakers hold by then goes out at
some twice the pace of speech: after so long the delay must be what it was."""
FLAKY: Final = 0.2


class Scenario(NamedTuple):
    """what: for --help. faults: from how long the talk is, and how long a lease lasts."""

    what: str
    talk_s: Callable[[float], float]
    faults: Callable[[float, float], list[Fault]]


def _away(target: str, for_s: float) -> Scenario:
    fault = Fault(LEAD_S, "net-closed", target, for_s, {"kind": "closed"})
    service = target.removesuffix("-proxy")
    return Scenario(
        f"{service} cannot be reached for {for_s:.0f} s",
        lambda _: LEAD_S + for_s + QUIET_AFTER_S,
        lambda talk_s, failover_s: [fault],
    )


def _transcribe_away(for_s: float) -> Scenario:
    return Scenario(
        f"the recogniser is gone for {for_s:.0f} s",
        lambda _: LEAD_S + for_s + QUIET_AFTER_S,
        lambda talk_s, failover_s: [Fault(LEAD_S, "kill-twin", "transcribe-twin", for_s)],
    )


def _flaky(talk_s: float, failover_s: float) -> list[Fault]:
    """From before the first word: for the whole run."""
    lasts_s = talk_s

    def fails(target: str, **more: Any) -> Fault:
        return Fault(0, "error", target, lasts_s, {"kind": "error", "probability": FLAKY} | more)

    return [
        *(fails(name) for name in ("kinesis", "translate-twin", "polly-twin", "transcribe-twin")),
        fails("gateway", operation="PostToConnection"),
        Fault(0, "net-reset", "dynamodb-proxy", lasts_s, {"kind": "reset", "probability": FLAKY}),
    ]


def _zombies(talk_s: float, failover_s: float) -> list[Fault]:
    """Every stage in turn."""
    each_s = 2 * failover_s
    return [
        Fault(LEAD_S + number * (each_s + 15), "zombie", name, each_s)
        for number, name in enumerate(("transcribe", "emotion", "translate", "broadcast"))
    ]


SCENARIOS: Final = {
    "flaky": Scenario(f"each AWS call fails with probability {FLAKY:g}, the whole run", lambda s: s, _flaky),
    "kinesis-away": _away("kinesis-proxy", 60),
    "dynamodb-away": _away("dynamodb-proxy", 60),
    "transcribe-away": _transcribe_away(300),
    "zombie": Scenario(
        "each stage in turn is stopped for twice its lease, another takes over, and it wakes up",
        lambda _: LEAD_S + 4 * 35 + 20,
        _zombies,
    ),
}


def scenario(name: str, seed: int, minutes: float, sessions: int, failover_s: float) -> Plan:
    """The named run. minutes: for those that have no length of their own."""
    found = SCENARIOS[name]
    talk_s = found.talk_s(minutes * 60)
    talks: list[Talk] = plan(seed, talk_s / 60, sessions, failover_s).talks
    return Plan(name, seed, talk_s, talks, found.faults(talk_s, failover_s))
