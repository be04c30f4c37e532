from pathlib import Path

import pytest

from ops import stack_file
from ops.chaos.spare import Spare
from ops.children import Child
from ops.errors import CommandError
from ops.parts import KCL_READY_WITHIN_S, READY_WITHIN_S, Options
from tests.ops.chaos.running import running_stack


async def test_a_spare_that_cannot_work_is_an_error_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEASE_FAILOVER_S", "0")  # a wrong setting ends a stage at once; the rest is in tests/e2e
    with running_stack(tmp_path, {}) as paths:
        stack = stack_file.read(paths)
        assert stack is not None
        with pytest.raises(CommandError, match="exit code 2 before it was ready"):
            async with Spare(stack, paths, Options(), "translate"):
                pass
        assert "LEASE_FAILOVER_S" in paths.log("translate-spare").read_text()


async def test_a_spare_may_take_as_long_as_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def ready(self: Child, time_limit_s: float) -> None:
        waited.append(time_limit_s)

    monkeypatch.setattr(Child, "ready", ready)
    monkeypatch.setenv("LEASE_FAILOVER_S", "0")
    with running_stack(tmp_path, {}) as paths:
        stack = stack_file.read(paths)
        assert stack is not None
        for runner in ("embedded", "kcl"):
            async with Spare(stack, paths, Options(runner=runner), "translate"):
                pass
    assert waited == [READY_WITHIN_S, KCL_READY_WITHIN_S]
