"""One self-contained page about a talk: no request leaves it, so it can be sent and kept."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

from ops.audio_files import Pcm, wav
from ops.hops import HOPS, PIPELINE_OWN
from ops.picture import passage, waveform
from ops.report import Language, Report

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1e23; --dim: #5b6470; --paper: #fbfbf9; --line: #d5d8dc;
  --own: #b3541e; --engine: #2f6fae; --stream: #9aa3ad; --band: #2f6fae2e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --dim: #a0a8b2; --paper: #15181c; --line: #343a42;
  --own: #f0955a; --engine: #6fb0ee; --stream: #6b7480; --band: #6fb0ee38; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
svg { width: 100%; display: block; } .wave { height: 7rem; border: 1px solid var(--line); }
.peaks { stroke: var(--ink); stroke-width: 1.4; fill: none; } .band { fill: var(--band); }
.passage { min-width: 52rem; } .passage text { font: 10px system-ui, sans-serif; fill: var(--dim); }
.passage .scale { font-size: 11px; fill: var(--ink); } .tick { stroke: var(--line); stroke-width: 1; }
.own { fill: var(--own); background: var(--own); } .engine { fill: var(--engine); background: var(--engine); }
.stream { fill: var(--stream); background: var(--stream); }
.key span { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; }
ol { list-style: none; padding: 0; } li { display: flex; gap: .8rem; padding: .15rem 0; }
time { color: var(--dim); font-variant-numeric: tabular-nums; flex: none; }
audio { width: 100%; } .scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { padding: .2rem .5rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
th { overflow-wrap: normal; } td + td { white-space: nowrap; } td:first-child { min-width: 9rem; }
.languages { display: grid; gap: 0 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
"""


def page(
    report: Report,
    pcm: Pcm,
    sounds: Mapping[str, Pcm],
    rows: Sequence[tuple[str, Mapping[str, int]]],
) -> str:
    """The page's HTML. pcm: the talk; sounds: each language's; rows: as `picture.passage` takes them."""
    said = _list((s.start_ms, s.text) for s in report.said)
    languages = "".join(_language(code, found, sounds[code]) for code, found in report.languages.items())
    chunks = report.chunks
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; media-src data:">
<title>Herald: {escape(report.session_id)}</title><style>{_STYLE}</style></head><body>
<h1>One voice went in, {len(report.languages)} came out</h1>
<p>Session {escape(report.session_id)}: {chunks.acknowledged} of {chunks.sent} chunks taken;
{report.lost} clauses lost, {report.duplicated} heard twice, {report.reordered} out of order,
{report.skipped} too late to be spoken.</p>
<h2>The talk</h2>{waveform(pcm, report.said)}{_player(pcm, "The talk")}{said}
<h2>What listeners got</h2><div class="languages">{languages}</div>
<h2>Where the time went</h2>
<p class="key">Each bar is a clause in one language, from the capture of its last sound to its first listener;
its length is time.
<span class="own"></span>our&nbsp;own<span class="engine"></span>engines<span class="stream"></span>streams</p>
<div class="scroll">{passage(rows)}</div>{_table(report)}
</body></html>
"""


def _language(code: str, found: Language, sound: Pcm) -> str:
    last = {caption.utterance_id: caption for caption in found.captions}
    captions = _list((caption.at_ms, caption.text) for caption in last.values())
    return f'<section lang="{escape(code)}"><h3>{escape(code)}</h3>{_player(sound, code)}{captions}</section>'


def _player(pcm: Pcm, label: str) -> str:
    data = base64.b64encode(wav(pcm)).decode()
    return f'<audio controls aria-label="{escape(label)}" src="data:audio/wav;base64,{data}"></audio>'


def _list(lines: Iterable[tuple[int, str]]) -> str:
    items = "".join(f"<li><time>{_clock(ms)}</time><span>{escape(text)}</span></li>" for ms, text in lines)
    return f"<ol>{items}</ol>"


def _clock(ms: int) -> str:
    return f"{ms // 60_000}:{ms // 1000 % 60:02d}"


def _table(report: Report) -> str:
    kinds = {hop.name: f"{hop.what} ({hop.kind})" for hop in HOPS}
    kinds |= {PIPELINE_OWN: "all that is ours", "end_to_end": "from the last sound to the listener"}
    rows = "".join(
        f"<tr><td>{escape(name.replace('_', ' '))}: {escape(kinds[name])}</td>"
        f"<td>{spread.p50:.0f}</td><td>{spread.p95:.0f}</td><td>{spread.max:.0f}</td></tr>"
        for name, spread in report.hops_ms.items()
    )
    head = "<tr><th>hop</th><th>p50 ms</th><th>p95 ms</th><th>max ms</th></tr>"
    return f'<div class="scroll"><table>{head}{rows}</table></div>'
