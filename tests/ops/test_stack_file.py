import fcntl
import json
import stat
import subprocess
from pathlib import Path

import pytest

from ops import stack_file
from ops.errors import CommandError
from ops.paths import Paths
from ops.stack_file import PartStatus, Stack


def a_stack() -> Stack:
    return Stack(
        pid=1,
        state="ready",
        url="ws://127.0.0.1:1/live",
        http="http://127.0.0.1:1",
        engine="tones",
        prefix="herald",
        environment={"A": "1"},
        parts={"kinesis": PartStatus(state="ready", log="x")},
    )


def test_it_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    stack_file.write(tmp_path / "stack.json", a_stack())
    assert stat.S_IMODE((tmp_path / "stack.json").stat().st_mode) == 0o600
    assert json.loads((tmp_path / "stack.json").read_text())["url"] == "ws://127.0.0.1:1/live"


def test_a_file_that_nobody_holds_the_lock_of_does_not_count(tmp_path: Path) -> None:
    found = Paths(tmp_path)
    stack_file.write(found.stack_file, a_stack())
    assert stack_file.read(found) is None
    with found.lock_file.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert stack_file.read(found) == a_stack()
        assert stack_file.running(found).pid == 1


def test_no_stack_is_a_sentence_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="herald up"):
        stack_file.running(Paths(tmp_path))


def test_exports_survive_a_shell() -> None:
    text = stack_file.exports({"A": "it's $HOME `x`", "B": "2"})
    done = subprocess.run(["sh", "-c", f'{text}printf "%s|%s" "$A" "$B"'], capture_output=True, text=True, check=True)
    assert done.stdout == "it's $HOME `x`|2"
