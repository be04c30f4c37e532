from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator

import psutil
import pytest

from local.pool import PoolFull
from local.translate.engine import Engine, EngineFailed, UnsupportedPair
from local.translate.routes import Leg, Routes, read_modes
from local.translate.text import codes

PAIRS = Routes(read_modes()).pairs()
WORDS = (
    *("the", "big", "house", "is", "very", "old", "and", "nobody", "knows", "who", "built", "it", "there", "in"),
    *("my", "time", "when", "two", "men", "came", "with", "good", "news"),
)


_others: set[int] = set()


@pytest.fixture(autouse=True)
def nobody_elses() -> None:
    """What runs before a test belongs to others: a stack that serves many tests, say."""
    _others.clear()
    _others.update(process.pid for process in psutil.Process().children(recursive=True))


def children() -> list[psutil.Process]:
    return [process for process in psutil.Process().children(recursive=True) if process.pid not in _others]


@pytest.fixture
async def engine(nobody_elses: None) -> AsyncIterator[Engine]:
    engine = Engine(Routes(read_modes()), pipelines=1)
    yield engine
    await engine.close()
    assert not children()


async def test_direct_and_by_pivot(engine: Engine) -> None:
    assert await engine.translate("en", "es", "the house is red") == "la casa es roja"
    assert await engine.translate("en", "it", "the house is red") == "la casa è rossa"
    assert await engine.translate("es", "en", "la casa es roja") == "the house is red"


async def test_unknown_words_pass_unmarked(engine: Engine) -> None:
    translation = await engine.translate("en", "es", "the flibbertigibbet sings")
    assert "flibbertigibbet" in translation
    assert not set(translation) & set("*@#^$\\")


async def test_line_breaks_and_everything_between_are_kept(engine: Engine) -> None:
    text = "\n\n  The house.\n\n12 😀\nThe house. \n"
    assert await engine.translate("en", "es", text) == "\n\n  La casa.\n\n12 😀\nLa casa. \n"


async def test_long_texts_are_whole(engine: Engine) -> None:
    text = "The house is red. " * 300
    assert await engine.translate("en", "es", text) == "La casa es roja. " * 300


async def test_a_text_without_blanks(engine: Engine) -> None:
    assert await engine.translate("en", "es", "a" * 3000) == "a" * 3000


async def test_no_such_pair(engine: Engine) -> None:
    with pytest.raises(UnsupportedPair):
        await engine.translate("en", "xx", "hello")


async def test_codes_come_through_every_pair_unchanged_and_in_order(engine: Engine) -> None:
    """Alone, among words of the source or of another language, at the ends, and close together."""
    rng = random.Random(7)
    texts = []
    for i in range(12):
        tokens = [f"w{rng.randrange(10**6):06d}" if rng.random() < i / 11 else rng.choice(WORDS) for _ in range(14)]
        texts.append(" ".join(tokens))
    texts.append("w000001, w000002; w000003. W000004! (w000005)")
    for source, target in PAIRS:
        for text in texts:
            assert codes(await engine.translate(source, target, text)) == codes(text), (source, target)


async def test_callers_get_their_own_text_back(engine: Engine) -> None:
    """Many at once, some of whom go away in the middle."""

    async def ask(number: int) -> None:
        text = f"the house w{number:06d}"
        assert await engine.translate("en", "es", text) == f"la casa w{number:06d}"

    await engine.warm("en", "es")
    tasks = [asyncio.create_task(ask(number)) for number in range(30)]
    for task in tasks[::7]:
        await asyncio.sleep(0.002)
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
    assert None in results


async def test_a_killed_pipeline_is_replaced_unnoticed(engine: Engine) -> None:
    await engine.warm("en", "es")
    os.kill(children()[4].pid, signal.SIGKILL)
    assert await engine.translate("en", "es", "two cats") == "dos gatos"


async def test_a_hung_pipeline_is_replaced_unnoticed() -> None:
    engine = Engine(Routes(read_modes()), pipelines=1, time_limit_s=2.0)
    await engine.warm("en", "es")
    os.kill(children()[4].pid, signal.SIGSTOP)
    assert await engine.translate("en", "es", "two cats") == "dos gatos"
    await engine.close()


async def test_failing_twice_is_said() -> None:
    engine = Engine(Routes([Leg("broken", "en", "es", (("true",),))]))
    with pytest.raises(EngineFailed, match="broken"):
        await engine.translate("en", "es", "hello")
    await engine.close()


async def test_full() -> None:
    engine = Engine(Routes([Leg("silent", "en", "es", (("sleep", "60"),))]), pipelines=1, max_waiting=1)
    tasks = [asyncio.create_task(engine.translate("en", "es", "hello")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(PoolFull, match="all 1 engines are busy and 1 requests are waiting"):
        await engine.translate("en", "es", "hello")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await engine.close()
    assert not children()
