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
    bars = []
    for number, (label, row) in enumerate(spans):
        x, y = 0.0, number * ROW
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
        f'viewBox="0 0 {WIDTH} {max(ROW, len(spans) * ROW)}" class="passage">{"".join(bars)}</svg>'
    )
