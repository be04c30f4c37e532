"""Apertium as one engine: any text, any pair that the installed packages connect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from local.pool import Pool
from local.translate import text
from local.translate.pipeline import TIME_LIMIT_S, Pipeline, PipelineError
from local.translate.routes import Leg, Routes

_ATTEMPTS: Final = 2


class UnsupportedPair(Exception):
    """No installed package, nor any chain of them, leads from one language to the other."""


class EngineFailed(Exception):
    """A pipeline and its replacement both failed on this text."""


class Engine:
    """Pools of pipelines, one per mode, started when first needed.

    `pipelines` bounds each mode's pool, `max_waiting` the queue before each. A pair by pivot uses the
    pools of its legs, so Spanish to Italian is the same pipeline for English and for Spanish speakers.
    """

    def __init__(
        self, routes: Routes, *, pipelines: int = 1, max_waiting: int = 32, time_limit_s: float = TIME_LIMIT_S
    ) -> None:
        self.routes = routes
        self._pipelines = pipelines
        self._max_waiting = max_waiting
        self._time_limit_s = time_limit_s
        self._pools: dict[str, Pool[Pipeline]] = {}

    async def translate(self, source: str, target: str, whole: str) -> str:
        """Translate a text of any length; blanks and line breaks between sentences stay as they are.

        Raises `UnsupportedPair`, `local.pool.PoolFull` (nothing was lost, come back later) and `EngineFailed`.
        """
        route = self._route(source, target)
        translated = [piece.before + await self._piece(route, piece.text) for piece in text.split(whole)]
        return "".join(translated)

    async def warm(self, source: str, target: str) -> None:
        """Start the pipelines of a pair and load their data. Raises as `translate`."""
        await self._piece(self._route(source, target), "a")

    async def close(self) -> None:
        """End all pipelines."""
        for pool in self._pools.values():
            await pool.close()

    def _route(self, source: str, target: str) -> tuple[Leg, ...]:
        route = self.routes.find(source, target)
        if route is None:
            raise UnsupportedPair
        return route

    async def _piece(self, route: Sequence[Leg], piece: str) -> str:
        if not text.has_words(piece):
            return piece
        translation = await self._along(route, piece)
        if text.codes(translation) == text.codes(piece):
            return translation
        # A rule moved or changed a code. Codes name things: they are worth more than the sentence around them.
        parts = text.between_codes(piece)
        for i in range(0, len(parts), 2):
            if text.has_words(parts[i]):
                core = parts[i].strip()
                parts[i] = parts[i].replace(core, await self._along(route, core))
        return "".join(parts)

    async def _along(self, route: Sequence[Leg], piece: str) -> str:
        translation = piece
        for leg in route:
            if text.has_words(translation):
                translation = await self._leg(leg, translation)
        return text.match_case(piece, translation)

    async def _leg(self, leg: Leg, piece: str) -> str:
        pool = self._pools.get(leg.mode)
        if pool is None:
            pool = self._pools[leg.mode] = Pool(
                lambda: Pipeline.start(leg), size=self._pipelines, max_waiting=self._max_waiting
            )
        prepared, open_end = text.to_engine(piece, leg.source)
        failure: PipelineError | None = None
        for _ in range(_ATTEMPTS):
            try:
                async with pool.lease() as pipeline:
                    answer = await pipeline.translate(prepared, self._time_limit_s)
                return text.from_engine(answer, open_end)
            except PipelineError as error:
                failure = error
        raise EngineFailed(f"{leg.mode}: {failure}") from failure
