"""A second worker of a stage, for as long as it may have to take over."""

import asyncio
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ops.children import Child
from ops.parts import Context, Options, child_environment, part
from ops.paths import PROJECT, Paths
from ops.stack_file import Stack

GRACE_S: Final = 20.0


class Spare:
    """A worker beside the stack's own, under an id of its own, ended with the block: it drains and lets go."""

    def __init__(self, stack: Stack, paths: Paths, options: Options, stage: str) -> None:
        self._stack = stack
        self._context = Context(options, paths, 0)
        self._stage = stage
        self._worker_id = f"{stage}-spare"
        self._log = paths.log(f"{stage}-spare")
        self._child: Child | None = None

    async def __aenter__(self) -> Self:
        own = part(self._stage)
        environment = self._stack.environment | own.environment(self._context) | {"HERALD_WORKER_ID": self._worker_id}
        self._from = _size(self._log)
        self._child = await Child.start(
            f"{self._stage}-spare",
            own.command(self._context),
            child_environment(os.environ, environment),
            self._log,
            PROJECT,
        )
        try:
            await self._child.ready(own.ready_within_s(self._context.options))
        except BaseException:
            await self._child.stop()
            raise
        return self

    def has_taken_over(self) -> bool:
        """Whether it has taken a lease."""
        with self._log.open("rb") as file:
            file.seek(self._from)
            return any(b'"operation":"lease"' in line and b'"taken"' in line for line in file)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._child is not None
        await asyncio.shield(self._child.stop(GRACE_S))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
