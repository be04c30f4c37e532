"""Every stage keeps the contract: pure logic, and a definition whose builder makes a `Stage`."""

import ast
import importlib
from pathlib import Path

import pytest

from streams.errors import NewerVersion
from streams.program import StageDefinition
from streams.resources import STAGES
from streams.settings import load
from streams.stage import Position, Stage

ROOT = Path(__file__).parents[2]
METHODS = [name for name in vars(Stage) if not name.startswith("_")]
IMPURE = {
    "asyncio", "time", "datetime", "random", "secrets", "os", "sys", "io", "socket", "ssl", "threading", "subprocess",
    "logging", "boto3", "botocore", "aiobotocore", "aiohttp", "aws_lambda_powertools", "amazon_transcribe", "uuid",
}  # fmt: skip


def test_positions_compare_within_a_shard() -> None:
    assert Position("a", 2) < Position("a", 10)


@pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.name)
def test_the_logic_imports_no_clock_no_io_no_randomness(spec: object) -> None:
    tree = ast.parse((ROOT / "stages" / spec.name / "logic.py").read_text())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert not imported & IMPURE


@pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.name)
def test_the_definition_builds_stages_that_take_their_own_snapshots_back(spec: object) -> None:
    definition: StageDefinition = importlib.import_module(f"stages.{spec.name}.definition").DEFINITION
    assert definition.spec == spec
    build = definition.build(load(definition.settings, {}))
    stage = build("golden-eagle-427", None)
    assert METHODS
    assert all(callable(getattr(stage, name)) for name in METHODS)
    again = build("golden-eagle-427", stage.snapshot())
    assert again.snapshot() == stage.snapshot()


@pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.name)
def test_a_snapshot_of_a_later_release_is_refused_by_name(spec: object) -> None:
    import msgspec

    definition: StageDefinition = importlib.import_module(f"stages.{spec.name}.definition").DEFINITION
    build = definition.build(load(definition.settings, {}))
    state = msgspec.msgpack.decode(build("golden-eagle-427", None).snapshot())
    assert isinstance(state, dict)
    with pytest.raises(NewerVersion, match="2"):
        build("golden-eagle-427", msgspec.msgpack.encode(state | {"v": 2}))
