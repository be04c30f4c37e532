from pathlib import Path

import pytest

from ops import tokens
from ops.errors import CommandError
from ops.parts import Options, base_environment
from ops.paths import Paths
from tests.ops.test_stack_file import a_stack


def test_a_token_is_three_parts_and_lets_its_bearer_speak(tmp_path: Path) -> None:
    stack = a_stack()
    stack.environment = base_environment(Options(port=1), Paths(tmp_path), "secret")
    assert tokens.token(stack, "somebody").count(".") == 2


def test_an_issuer_that_fails_is_named(tmp_path: Path) -> None:
    stack = a_stack()
    stack.environment = base_environment(Options(port=1), Paths(tmp_path / "file"), "secret")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CommandError, match="issuer"):
        tokens.token(stack, "somebody")
