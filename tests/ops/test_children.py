import os
import sys
from pathlib import Path

import pytest

from ops.children import Child, Ready, program
from ops.errors import CommandError


def test_ready_lines() -> None:
    assert Ready.parse("ready http://127.0.0.1:1 control=http://127.0.0.1:2") == Ready(
        "http://127.0.0.1:1", {"control": "http://127.0.0.1:2"}
    )
    assert Ready.parse("ready translate") == Ready("", {})
    assert Ready.parse("already") is None
    assert Ready.parse("") is None


def test_a_module_runs_in_this_python() -> None:
    assert program("ops", "up") == [sys.executable, "-m", "ops", "up"]


async def start(tmp_path: Path, code: str) -> Child:
    return await Child.start("part", [sys.executable, "-c", code], os.environ, tmp_path / "logs" / "part.log", tmp_path)


async def test_a_child_is_ready_when_it_says_so_and_ends_when_told(tmp_path: Path) -> None:
    child = await start(tmp_path, "import signal; print('ready http://127.0.0.1:9', flush=True); signal.pause()")
    try:
        assert (await child.ready(20)).url == "http://127.0.0.1:9"
        assert child.exit_code is None
    finally:
        await child.stop()
    assert child.ending() == "was ended by SIGTERM"
    assert child.last_words() == f"its log ends at {tmp_path}/logs/part.log:1"


async def test_a_child_that_ends_before_it_is_ready_says_how(tmp_path: Path) -> None:
    child = await start(tmp_path, "import sys; print('no'); sys.exit(3)")
    with pytest.raises(CommandError, match=r"ended with exit code 3 before it was ready; its log ends at .*part.log:1"):
        await child.ready(20)
    await child.stop()


async def test_a_child_that_another_one_has_replaced_says_so(tmp_path: Path) -> None:
    child = await start(tmp_path, "import sys; sys.exit(78)")
    assert await child.wait() == "ended, because another process runs under its worker id (exit code 78)"


async def test_a_silent_child_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    child = await start(tmp_path, "import signal; signal.pause()")
    try:
        with pytest.raises(CommandError, match="was not ready"):
            await child.ready(0.1)
    finally:
        await child.stop()


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="make setup"):
        await Child.start("part", [str(tmp_path / "none")], {}, tmp_path / "part.log", tmp_path)
