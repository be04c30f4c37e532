import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from ops.chaos.watch import Memory, breakers, log_lines, pss_mib
from tests.ops.chaos.running import running_stack


def line(at: str, **more: str) -> str:
    return json.dumps({"timestamp": at, "component": "translate", **more}) + "\n"


def test_breakers_are_found_in_logs_in_the_order_of_time(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(
        "ready translate\n"
        + line("2026-01-01T00:00:02Z", operation="breaker", message="open: reading pauses")
        + line("2026-01-01T00:00:03Z", operation="call", message="trying again")
    )
    (tmp_path / "b.log").write_text(line("2026-01-01T00:00:01Z", operation="breaker", message="closed") + '{"cut')
    found = breakers([tmp_path / "a.log", tmp_path / "b.log", tmp_path / "none.log"])
    assert [(news.stage, news.what) for news in found] == [
        ("translate", "closed"),
        ("translate", "open: reading pauses"),
    ]


def test_a_line_that_a_kill_cut_off_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"a": 1}\n{"b": \n{"c": 3}\n')
    assert list(log_lines(tmp_path / "log")) == [{"a": 1}, {"c": 3}]


def test_memory_counts_children_and_nothing_of_the_dead() -> None:
    held = "x = bytes([1]) * (40 << 20); print('ready', flush=True); input()"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        assert 40 < pss_mib(program.pid) < 120
        program.communicate("\n", timeout=10)
    assert pss_mib(program.pid) == 0


async def test_the_most_that_a_part_had_is_kept(tmp_path: Path) -> None:
    with running_stack(tmp_path, {"translate": os.getpid(), "kinesis": os.getpid()}) as paths:
        memory = Memory(paths)
        watching = asyncio.create_task(memory.watch())
        async with asyncio.timeout(10):
            while not memory.parts_mib:
                await asyncio.sleep(0.02)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert memory.parts_mib["translate"] > 5
    assert memory.peak_mib < 1.5 * memory.parts_mib["translate"]  # Kinesis is no stage
