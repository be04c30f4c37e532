"""The stage as a program."""

import pytest

from stages.broadcast.definition import DEFINITION
from streams.program import main
from streams.stage import Stage


def test_the_stage_reads_and_writes_its_streams() -> None:
    assert (DEFINITION.spec.input, DEFINITION.spec.output) == ("speech", "receipts")


def test_its_builder_takes_back_what_a_stage_gave() -> None:
    build = DEFINITION.build(DEFINITION.settings())
    new: Stage = build("golden-eagle-427", None)
    assert build("golden-eagle-427", new.snapshot()).snapshot() == new.snapshot()


def test_a_wrong_setting_ends_the_program_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKLOG_MS", "-1")
    assert main(DEFINITION, []) == 2
    assert "BACKLOG_MS" in capsys.readouterr().err
