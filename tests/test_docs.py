"""What the documents tell people to do can be done."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ops.main import main
from ops.parts import PARTS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
COMMANDS = ("up", "demo", "chaos", "audit", "dlq", "token", "env", "restart")


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"`?make ([a-z-]+)", TEXT)) - {"it"}
    assert targets >= {"demo", "check", "test", "bench"}
    missing = [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)]
    assert not missing


@pytest.mark.parametrize("command", sorted(set(re.findall(rf"\bherald ({'|'.join(COMMANDS)})\b", TEXT))))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: herald {command}")


def test_no_other_command_is_named() -> None:
    named = set(re.findall(r"`(?:\.venv/bin/)?herald ([a-z]+)", TEXT))
    assert named <= set(COMMANDS)


def test_every_option_named_is_known() -> None:
    helps = ""
    commands = [["ops", command] for command in COMMANDS]
    letters = [["ops", "dlq", command] for command in ("ls", "show", "redrive")]
    for command in [
        *commands,
        *letters,
        ["tests.simulation"],
        ["tests.e2e.fuzz"],
        ["tests.e2e.abuse"],
        ["stages.translate"],
    ]:
        argv = [sys.executable, "-m", *command, "--help"]
        helps += subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", TEXT))
    assert not [option for option in named if option not in helps]


def test_every_restart_names_a_part() -> None:
    named = re.findall(r"herald restart ([a-z-]+)", TEXT)
    assert named
    assert set(named) <= {part.name for part in PARTS}


def test_every_path_named_exists() -> None:
    paths = re.findall(r"`((?:ops|streams|tests|stages|local|ingest|gateway|bench|docs|\.ci)/[\w./-]*)`", TEXT)
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_every_test_named_exists() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)", sources))
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert named
    assert named <= defined


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
