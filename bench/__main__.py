"""`python -m bench [NAME...]`: every measurement, as a table and as .herald/bench.json; 1 if a bar does not hold.

A measurement is a module of this folder with `run() -> {name: row}`; a row has ours, peer, unit, ratio, bar, holds;
some have a `spread` of ours. What the measured programs log goes to .herald/bench.log.
"""

import argparse
import contextlib
import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("emotion", "recogniser", "ingest", "driver", "recovery", "poison", "kinesis_twin", "kcl", "stack")
ON_REQUEST = ("load", "listeners")
"""Measured only when named: they say how far from an aim this machine is, which no change is to blame for."""
KEYS = ("ours", "spread", "peer", "unit", "ratio", "bar", "holds")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Speed and memory, beside peers.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"default: {', '.join(NAMES)}; on request: {', '.join(ON_REQUEST)}"
    )
    names = parser.parse_args().names or NAMES
    unknown = set(names) - {*NAMES, *ON_REQUEST}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join((*NAMES, *ON_REQUEST))}")
    folder = Path(os.environ.get("HERALD_DIR") or Path(__file__).resolve().parent.parent / ".herald")
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "bench.log"
    log.write_bytes(b"")
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        try:
            with logging_to(log):
                found = importlib.import_module(f"bench.{name}").run()
        except BaseException:
            print(f"{name} failed; its log is {log}", file=sys.stderr)
            raise
        rows |= found
        for title, row in found.items():
            print(line(title, row), flush=True)
    path = folder / "bench.json"
    before = json.loads(path.read_text()) if path.exists() and len(names) < len(NAMES) else {}
    path.write_text(json.dumps(before | rows, indent=2) + "\n")
    print(table(rows))
    return 0 if all(row["holds"] for row in rows.values()) else 1


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Everything that this process, or a child of it, writes to stderr meanwhile is appended to the file."""
    sys.stderr.flush()
    before = os.dup(2)
    try:
        with path.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)


def line(title: str, row: dict[str, Any]) -> str:
    held = "holds" if row["holds"] else "does NOT hold"
    ours = f"{row['ours']} {row['unit']}" + (f" (spread {row['spread']})" if "spread" in row else "")
    return f"{title}: {ours}, peer {row['peer']}, ratio {row['ratio']}, bar {row['bar']}: {held}"


def table(rows: dict[str, dict[str, Any]]) -> str:
    cells = [["name", *KEYS], *([title, *(str(row.get(key, "")) for key in KEYS)] for title, row in rows.items())]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


if __name__ == "__main__":
    sys.exit(main())
