from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from local.control import Calls, ControlPlane
from local.faults import Fault, Faults


@dataclass
class Plane:
    http: aiohttp.ClientSession
    faults: Faults
    calls: Calls

    async def get(self, path: str) -> object:
        async with self.http.get(f"/_herald/{path}") as response:
            assert response.status == 200
            return await response.json()


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    faults, calls = Faults(1), Calls()
    runner, url = await ControlPlane(faults, calls).serve(0)
    try:
        async with aiohttp.ClientSession(url) as session:
            yield Plane(session, faults, calls)
    finally:
        await runner.cleanup()


async def test_health(plane: Plane) -> None:
    assert await plane.get("health") == {"ok": True}


async def test_calls_are_counted_by_operation(plane: Plane) -> None:
    plane.calls.count("TranslateText")
    plane.calls.count("TranslateText", "characters", 40)
    plane.calls.count("ListLanguages", "errors")
    assert await plane.get("calls") == {
        "TranslateText": {"calls": 1, "errors": 0, "characters": 40},
        "ListLanguages": {"calls": 0, "errors": 1},
    }


async def test_faults_are_put_shown_and_deleted(plane: Plane) -> None:
    async with plane.http.put("/_herald/faults", json=[{"kind": "cut", "count": 1}]) as response:
        assert (response.status, await response.json()) == (200, await plane.get("faults"))
    assert plane.faults.active() == [Fault("cut", count=1)]
    async with plane.http.delete("/_herald/faults") as response:
        assert await response.json() == []
    assert plane.faults.active() == []


@pytest.mark.parametrize("body", [b"[{", b'[{"kind": "explode"}]'])
async def test_faults_that_cannot_be_read_change_nothing(plane: Plane, body: bytes) -> None:
    plane.faults.replace([Fault("cut")])
    async with plane.http.put("/_herald/faults", data=body) as response:
        assert response.status == 400
        assert "message" in await response.json()
    assert plane.faults.active() == [Fault("cut")]
