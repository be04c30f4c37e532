from pathlib import Path

import pytest

from ops.paths import PROJECT, paths, shown


def test_the_state_folder_is_the_projects_unless_chosen(tmp_path: Path) -> None:
    assert paths({}).state == PROJECT / ".herald"
    assert paths({"HERALD_DIR": str(tmp_path)}).state == tmp_path
    assert paths({"HERALD_DIR": str(tmp_path)}).log("kinesis") == tmp_path / "logs" / "kinesis.log"


def test_a_path_is_shown_relative_to_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b") == "a/b"
    assert shown(Path("/elsewhere")) == "/elsewhere"
