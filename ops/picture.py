"""Pictures of a talk as SVG text: its waveform with what was said, and each utterance's time in each hop."""

import itertools
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import numpy as np

from ops.audio_files import SAMPLE_RATE_HZ, Pcm
from ops.hops import HOPS, spent
from ops.report import Said

WIDTH: Final = 1000
WAVE_HEIGHT: Final = 120
COLUMNS: Final = 500
ROW: Final = 26
AXIS: Final = 26
"""Height of the time axis above the rows."""
TICKS_MAX: Final = 6
"""More labels than that run into each other on a telephone."""


def waveform(pcm: Pcm, said: Sequence[Said]) -> str:
    """The talk's peaks, and a band under each utterance; its text shows when pointed at."""
    duration_ms = max(1, len(pcm) * 1000 // SAMPLE_RATE_HZ)
    middle = WAVE_HEIGHT / 2
    edges = np.linspace(0, len(pcm), COLUMNS + 1).astype(int)
    points = []
    for column, (start, end) in enumerate(itertools.pairwise(edges)):
        peak = float(np.abs(pcm[start:end].astype(np.int32)).max(initial=0)) / 32768 * (middle - 2)
        x = column * WIDTH / COLUMNS
        points.append(f"M{x:.1f} {middle - peak - 0.5:.1f}V{middle + peak + 0.5:.1f}")
    bands = "".join(
        f'<rect class="band" x="{s.start_ms * WIDTH / duration_ms:.1f}" y="0" '
        f'width="{max(2.0, (s.end_ms - s.start_ms) * WIDTH / duration_ms):.1f}" height="{WAVE_HEIGHT}">'
        f"<title>{escape(s.text)}</title></rect>"
        for s in said
    )
    return (
        f'<svg role="img" aria-label="The talk\'s waveform, {duration_ms // 1000} seconds" '
        f'viewBox="0 0 {WIDTH} {WAVE_HEIGHT}" preserveAspectRatio="none" class="wave">{bands}'
        f'<path class="peaks" d="{"".join(points)}"/></svg>'
    )


def passage(rows: Sequence[tuple[str, Mapping[str, int]]]) -> str:
    """A bar per clause and language (its label, its moments): the time in each hop, from capture to listener."""
    spans = [(label, spent(moments)) for label, moments in rows]
    longest = max((sum(row.get(hop.name, 0) for hop in HOPS) for _, row in spans), default=0) or 1
    height = AXIS + len(spans) * ROW
    bars = [_axis(longest, height)]
    for number, (label, row) in enumerate(spans):
        x, y = 0.0, AXIS + number * ROW
        bars.append(f'<text x="0" y="{y + 9}">{escape(label)}</text>')
        for hop in HOPS:
            width = row.get(hop.name, 0) * WIDTH / longest
            if width > 0:
                title = f"{hop.name.replace('_', ' ')}: {row[hop.name]} ms"
                bars.append(
                    f'<rect class="{hop.kind}" x="{x:.1f}" y="{y + 12}" width="{max(width, 1):.1f}" height="10">'
                    f"<title>{escape(title)}</title></rect>"
                )
            x += width
    return (
        f'<svg role="img" aria-label="Time of each clause in each hop; the longest took {longest} milliseconds" '
        f'viewBox="0 0 {WIDTH} {height}" class="passage">{"".join(bars)}</svg>'
    )


def ticks_ms(longest_ms: int) -> list[int]:
    """Round times from 0 up to longest_ms, at most TICKS_MAX and evenly apart."""
    step = next(
        size * 10**power for power in range(9) for size in (1, 2, 5) if longest_ms // (size * 10**power) < TICKS_MAX
    )
    return list(range(0, longest_ms + 1, step))


def _axis(longest_ms: int, height: int) -> str:
    """A line down through the rows for each tick, with its time; the last label stays inside the picture."""
    ticks = ticks_ms(longest_ms)
    unit, scale = ("s", 1000) if longest_ms >= 1000 else ("ms", 1)
    marks = []
    for tick in ticks:
        x = tick * WIDTH / longest_ms
        anchor = "start" if tick == 0 else "end" if x > WIDTH - 40 else "middle"
        marks.append(
            f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{AXIS - 10}" y2="{height}"/>'
            f'<text class="scale" x="{x:.1f}" y="11" text-anchor="{anchor}">{tick / scale:g} {unit}</text>'
        )
    return "".join(marks)
