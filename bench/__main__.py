"""`python -m bench [NAME...]`: every measurement, as a table and as .herald/bench.json; 1 if a bar does not hold.

A measurement is a module of this folder with `run() -> {name: row}`; a row has ours, peer, unit, ratio, bar, holds;
some have a `spread` of ours.
"""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

NAMES = ("emotion", "ingest", "driver", "kinesis_twin", "stack")
KEYS = ("ours", "spread", "peer", "unit", "ratio", "bar", "holds")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Speed and memory, beside peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure (default: {', '.join(NAMES)})")
    names = parser.parse_args().names or NAMES
    unknown = set(names) - set(NAMES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        found = importlib.import_module(f"bench.{name}").run()
        rows |= found
        for title, row in found.items():
            print(line(title, row), flush=True)
    folder = Path(os.environ.get("HERALD_DIR") or Path(__file__).resolve().parent.parent / ".herald")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bench.json"
    before = json.loads(path.read_text()) if path.exists() and len(names) < len(NAMES) else {}
    path.write_text(json.dumps(before | rows, indent=2) + "\n")
    print(table(rows))
    return 0 if all(row["holds"] for row in rows.values()) else 1


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
