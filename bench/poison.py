"""What a thousand poison records, strewn into a talk's streams, cost the talk: its delay with and without them.

A stack with tones and one shard a stream; talks with and without poison take turns, ROUNDS each. The delay is a
clause's, from the last sound of its words to its first listener; what is compared is each talk's 95th percentile.
"""

import asyncio
import statistics
import tempfile
from pathlib import Path
from typing import Any

from local import tones
from tests.e2e import stored
from tests.e2e.poison import hold, letters
from tests.e2e.whole_stack import WholeStack

ROUNDS = 5
CLAUSES = 8
WORDS = 4
BAR_MS = 1000.0
LOOK_EVERY_S = 3.0


async def _p95_ms(stack: WholeStack, first: int, *, poisoned: bool) -> float:
    script = tones.Script([[first + WORDS * clause + word for word in range(WORDS)] for clause in range(CLAUSES)])
    held = await hold(stack, script, ["es", "en"], poisoned=poisoned)
    kept: dict[str, bytes] = {}
    while held.refused.keys() - kept.keys():  # the next talk is to find nothing of it
        await asyncio.sleep(LOOK_EVERY_S)
        kept = await asyncio.to_thread(letters, stored.client(stack.environment, "dynamodb"))
    said = [word.number for word in script.words]
    assert held.words == {"es": said, "en": said}
    return statistics.quantiles(held.delays_ms(), n=20)[-1]


async def _measure(stack: WholeStack) -> tuple[list[float], list[float]]:
    await _p95_ms(stack, 1_000, poisoned=False)  # the first talk finds everything cold
    with_poison, without = [], []
    for number in range(ROUNDS):
        without.append(await _p95_ms(stack, 2_000 + 100 * number, poisoned=False))
        with_poison.append(await _p95_ms(stack, 3_000 + 100 * number, poisoned=True))
    return with_poison, without


def run() -> dict[str, dict[str, Any]]:
    """One row. ratio: how much later, in ms."""
    with tempfile.TemporaryDirectory() as folder:
        stack = WholeStack(Path(folder), "tones")
        try:
            with_poison, without = asyncio.run(_measure(stack))
        finally:
            stack.stop()
    later_ms = statistics.median(with_poison) - statistics.median(without)
    return {
        "a talk among a thousand poison records, p95 of a clause's delay": {
            "ours": round(statistics.median(with_poison)),
            "spread": [round(min(with_poison)), round(max(with_poison))],
            "peer": round(statistics.median(without)),
            "unit": "ms",
            "ratio": f"{later_ms:+.0f} ms",
            "bar": f"+{BAR_MS:.0f} ms",
            "holds": later_ms <= BAR_MS,
        }
    }
