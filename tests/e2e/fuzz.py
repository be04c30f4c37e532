"""What nobody should send, over real sockets, on every route, by both roles, and what became of it.

python -m tests.e2e.fuzz --messages 200000 --seed 1

starts a stack of its own, prints a report of JSON, and exits with 1 when anything is off.
"""

import argparse
import asyncio
import json
import math
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from gateway.errors import ErrorCode
from ops import tokens
from streams.records import SessionEvent
from tests.e2e.fuzzing import TOLD, Fuzz
from tests.e2e.stored import is_of_the_session_itself, records_by_key
from tests.e2e.whole_stack import WholeStack, described

LIFTED: Final = {
    "MAX_CONTROL_MESSAGES_PER_SECOND": "1000",
    "MAX_STATUS_QUERIES_PER_SECOND": "1000",
    "MAX_AUDIO_CHUNKS_PER_SECOND": "1000",
    "MAX_CONNECTS_PER_MINUTE": "1000000",
    "MAX_JOINS_PER_MINUTE": "1000000",
    "MAX_SESSIONS_PER_HOUR": "1000000",
}
"""Rates of the stack that the command starts, so that messages are looked at and not just counted."""
WARM_SHARE: Final = 0.1
"""After so many, memory is looked at for the first time: caches and pools have what they need."""
PASSED_ON_WITHIN_S: Final = 60.0
GROWTH_KIB: Final = 16 * 1024
"""What a gateway may need more at the end: four times what 20,000 messages took, which was the allocator's."""


def processes(stack: WholeStack) -> dict[str, int]:
    """The process of each part that serves, by name."""
    return {name: part["pid"] for name, part in stack.described()["parts"].items() if part["state"] == "ready"}


def resident_kib(pid: int) -> int:
    """How much memory of a process is resident."""
    return int(psutil.Process(pid).memory_info().rss // 1024)


def complaints(log: Path, offset: int) -> tuple[list[str], int]:
    """What the gateway's process says of itself that is no answer to a client: errors, tracebacks. From a byte on.

    And, apart, how often a function took too long, or was given up for that: a machine that does much else does so.
    """
    with log.open("rb") as file:
        file.seek(offset)
        lines = file.read().decode(errors="replace").splitlines()
    bad = [line for line in lines if '"level":"ERROR"' in line.replace(" ", "") or "Traceback" in line]
    slow = [line for line in bad if any(f'"message": "{said}"' in line for said in ("time limit", "given up"))]
    return [line[:600] for line in bad if line not in slow], len(slow)


async def fuzz(
    whole: WholeStack, messages: int, seed: str, *, alone: bool, within_s: float = math.inf
) -> dict[str, Any]:
    """The report of a run; its `off` says what is wrong, and is empty if nothing is.

    alone: nobody else uses the stack, so that all it has is of this run. within_s: what has not been sent by then is
    not sent.
    """
    stack = described(whole)
    since, started_s = datetime.now(UTC), time.monotonic()
    before = await asyncio.to_thread(processes, whole)
    log = Path(stack.parts["gateway"].log)
    offset = await asyncio.to_thread(os.path.getsize, log)
    own, strangers = [await asyncio.to_thread(tokens.token, stack, who) for who in ("a-fuzzer", "a-stranger")]
    run = Fuzz(stack, own, strangers, started_s + within_s)
    warm = round(messages * WARM_SHARE)
    await run.run(warm, f"{seed} warm")
    resident = {name: resident_kib(pid) for name, pid in before.items()}
    await run.run(messages - warm, seed)
    spent_s = time.monotonic() - started_s
    after = await asyncio.to_thread(processes, whole)
    grown = {name: resident_kib(pid) - resident[name] for name, pid in after.items() if before.get(name) == pid}
    stray, missing = await asyncio.to_thread(in_streams, whole, run, since, alone=alone)
    said, too_slow = complaints(log, offset)
    tally = run.tally
    off = [
        *(["processes are others than before"] if before != after else []),
        *(["the gateway has grown"] if grown.get("gateway", 0) > GROWTH_KIB else []),
        *(["there are strange answers"] if tally.answers["STRANGE"] else []),
        *(["not all was answered"] if tally.answers["UNANSWERED"] else []),
        *(["streams hold what is none of the sessions' own"] if any(stray.values()) else []),
        *(["streams do not hold what was answered"] if missing else []),
        *(["the gateway complains"] if said else []),
        *(["functions took too long"] if too_slow and alone else []),
        *(["not all was sent"] if tally.sent != messages and spent_s < within_s else []),
    ]
    return {
        "off": off,
        "seed": seed,
        "sent": tally.sent,
        "examined": tally.examined,
        "seconds": round(spent_s, 1),
        "answers": dict(tally.answers.most_common()),
        "accepted": dict(tally.accepted.most_common()),
        "statuses": dict(sorted(tally.statuses.items())),
        "closes": {str(code): count for code, count in sorted(tally.closes.items())},
        "kinds": dict(tally.kinds.most_common()),
        "sessions": len(run.sessions),
        "pids": {"before": before, "after": after},
        "gateway_rss_kib": {"before": resident["gateway"], "after": resident_kib(after["gateway"])},
        "grown_kib": grown,
        "stray_records": stray,
        "missing_events": missing,
        "unanswered": tally.unanswered,
        "strange": tally.strange,
        "complaints": said[:TOLD],
        "too_slow": too_slow,
    }


def in_streams(
    whole: WholeStack, run: Fuzz, since: datetime, *, alone: bool
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """What each stream holds that no session of the run has put there, once all stages have passed the ends on.

    And the sessions whose events in the audio stream are not those that were answered.
    """
    deadline = time.monotonic() + PASSED_ON_WITHIN_S
    while True:
        found = records_by_key(whole.environment, since)
        ended = {key for key, records in found["speech"].items() if any(_is_end(record) for record in records)}
        if run.sessions <= ended or time.monotonic() > deadline:
            break
        time.sleep(1)
    stray = {
        stream: [
            f"{key}: {type(record).__name__}"
            for key, records in by_key.items()
            for record in records
            if (key in run.sessions or alone) and not (key in run.sessions and is_of_the_session_itself(record))
        ][:TOLD]
        for stream, by_key in found.items()
    }
    missing = {}
    for session in run.sessions:
        events = sum(isinstance(record, SessionEvent) for record in found["audio"].get(session, []))
        least = run.tally.events[session] + 2
        most = least + sum(run.tally.answers[code] for code in (ErrorCode.TIMEOUT, ErrorCode.SERVICE_UNAVAILABLE))
        if not least <= events <= most:
            missing[session] = f"{events} events, not {least} to {most}"
        if session not in ended:
            missing[session] = "its end is not passed on"
    return stray, missing


def _is_end(record: object) -> bool:
    return isinstance(record, SessionEvent) and record.event == "ended"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.fuzz")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--minutes", type=float, default=math.inf, help="send no more after so long")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="herald-fuzz-") as folder:
        stack = WholeStack(Path(folder), "tones", shards=2, settings=LIFTED)
        try:
            report = asyncio.run(fuzz(stack, args.messages, args.seed, alone=True, within_s=args.minutes * 60))
        finally:
            stack.stop()
    print(json.dumps(report, indent=2))
    return 1 if report["off"] else 0


if __name__ == "__main__":
    sys.exit(main())
