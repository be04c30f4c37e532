"""Trying again what failed in passing: a command asks seldom, and a throttled service answers a little later."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from streams.errors import HeraldError

TRIES: Final = 6
PAUSE_S: Final = 0.3
"""Grows with each try: 4.5 s in all, then the command says what is wrong."""

Result = TypeVar("Result")


def _retryable(error: HeraldError) -> bool:
    return error.retryable


async def patiently(
    do: Callable[[], Awaitable[Result]], may_retry: Callable[[HeraldError], bool] = _retryable
) -> Result:
    """What `do` gives. Raises its HeraldError when it is not to be retried, or tries are over."""
    tries = 0
    while True:
        try:
            return await do()
        except HeraldError as error:
            tries += 1
            if not may_retry(error) or tries >= TRIES:
                raise
            await asyncio.sleep(PAUSE_S * tries)
