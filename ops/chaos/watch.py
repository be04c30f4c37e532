"""What is seen of a stack from outside during a run: memory, breakers, parts that end unasked."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from ops import stack_file
from ops.paths import Paths
from streams.resources import STAGES

EVERY_S: Final = 2.0
_KIB_PER_MIB: Final = 1024


class BreakerNews(msgspec.Struct, frozen=True):
    """A breaker that opened or closed. at: as the log has it."""

    stage: str
    at: str
    what: str


class Memory:
    """The most memory (PSS) that each part had, children included. peak_mib: of the four stages together."""

    def __init__(self, paths: Paths) -> None:
        self.parts_mib: dict[str, float] = {}
        self.peak_mib = 0.0
        self._paths = paths

    async def watch(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            found = stack_file.read(self._paths)
            if found is not None:
                pids = {name: status.pid for name, status in found.parts.items() if status.pid is not None}
                now = await asyncio.to_thread(_all_pss_mib, pids)
                for name, mib in now.items():
                    self.parts_mib[name] = round(max(mib, self.parts_mib.get(name, 0.0)), 1)
                together = sum(now.get(stage.name, 0.0) for stage in STAGES)
                self.peak_mib = round(max(self.peak_mib, together), 1)
            await asyncio.sleep(EVERY_S)


def _all_pss_mib(pids: dict[str, int]) -> dict[str, float]:
    return {name: pss_mib(pid) for name, pid in pids.items()}


def pss_mib(pid: int, proc: Path = Path("/proc")) -> float:
    """The proportional set size of a process and its descendants, MiB; 0 for one that is gone."""
    total = 0.0
    try:
        for line in (proc / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) / _KIB_PER_MIB
        for task in (proc / str(pid) / "task").iterdir():
            total += sum(pss_mib(int(child), proc) for child in (task / "children").read_text().split())
    except (OSError, ProcessLookupError):
        return total
    return total


def breakers(logs: list[Path]) -> list[BreakerNews]:
    """Every opening and closing in the logs of stages, in order of time."""
    found = [
        BreakerNews(str(line.get("component")), str(line.get("timestamp")), str(line.get("message")))
        for path in logs
        for line in log_lines(path)
        if line.get("operation") == "breaker"
    ]
    return sorted(found, key=lambda news: news.at)


def log_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a log."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.startswith(b"{"):
                try:
                    yield msgspec.json.decode(line)
                except msgspec.DecodeError:
                    continue  # cut by a kill
