from pathlib import Path

import pytest

from ops import control
from ops.control import Wish
from ops.errors import CommandError


async def handle(wish: Wish) -> str:
    if wish.part == "none":
        raise CommandError("there is no such part")
    return f"{wish.do} {wish.part}"


async def test_a_wish_is_answered_or_refused(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 100) / "control.sock"  # longer than a socket's address may be
    path.parent.mkdir()
    async with control.serve(path, handle):
        assert await control.ask(path, Wish(do="restart", part="kinesis")) == "restart kinesis"
        with pytest.raises(CommandError, match="no such part"):
            await control.ask(path, Wish(do="restart", part="none"))
    assert not path.exists()


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="herald up"):
        await control.ask(tmp_path / "control.sock", Wish(do="restart", part="kinesis"))
