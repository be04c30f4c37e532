"""The house keeps its order: imports go one way, each module has its test, nothing points at one machine."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("ingest", "gateway", "streams", "stages", "ops", "local", "bench", "infra", "web", "tests")
KNOWS: dict[str, set[str]] = {
    "streams": set(),
    "stages": {"streams"},
    "ingest": {"streams", "gateway"},
    "gateway": {"streams", "ingest"},
    "ops": {"streams", "stages", "ingest", "gateway"},
    "local": {"streams", "stages", "ingest", "gateway"},
}
"""What each room may import besides itself. The two halves of the door share its errors and its rows."""

TOP_LEVEL = re.compile(
    r"ingest|gateway|streams|stages|ops|local|web|infra|bench|tests|docs|README\.md|CONTRIBUTING\.md|CHANGELOG\.md"
    r"|LICENSE|Makefile|pyproject\.toml|\.ci|\.gitignore|requirements.*\.lock"
)
FOREIGN = re.compile(
    r"(?<![\w./])/(?:work|farm|root|home/\w+)/|https?://[^\s\"')]*(?:/simple\b|/maven2\b)|--(?:extra-)?index-url"
)


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.splitlines() if (ROOT / name).is_file()]


def modules(*rooms: str) -> list[Path]:
    return [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("room", KNOWS)
def test_imports_go_one_way(room: str) -> None:
    allowed = KNOWS[room] | {room}
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(room)
        for name in imported(path)
        if name in ROOMS and name not in allowed
    }
    assert not wrong


def test_every_module_has_its_test() -> None:
    missing = [
        str(path.relative_to(ROOT))
        for path in modules(*KNOWS)
        if path.name not in ("__init__.py", "__main__.py")
        and not (ROOT / "tests" / path.relative_to(ROOT).with_name(f"test_{path.name}")).exists()
    ]
    assert not missing


def test_every_package_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in modules(*KNOWS)
        if path.name == "__init__.py" and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_modules_stay_readable() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules(*KNOWS)}
    assert not {name: lines for name, lines in long.items() if lines > 400}


def test_state_machines_read_no_clock_and_do_no_io() -> None:
    forbidden = {
        "asyncio",
        "time",
        "random",
        "socket",
        "boto3",
        "botocore",
        "aiobotocore",
        "os",
        "logging",
        "threading",
    }
    paths = [*(ROOT / "stages").rglob("logic.py"), ROOT / "streams" / "stage.py", ROOT / "ingest" / "admission.py"]
    wrong = {f"{path.relative_to(ROOT)}: {name}" for path in paths for name in imported(path) if name in forbidden}
    assert not wrong


def test_nothing_points_at_a_registry_or_one_machine() -> None:
    wrong = []
    for path in tracked():
        if path == Path(__file__).resolve() or path.suffix == ".wav":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if FOREIGN.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}")
    assert not wrong


def test_the_top_level_has_the_rooms_and_no_more() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert not [name for name in names if not TOP_LEVEL.fullmatch(name)]
