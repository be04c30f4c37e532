"""Whether a talk came through. The rule, also in docs/decisions.md:

every chunk was acknowledged; no clause was lost, heard twice or out of order; every listener was told that the session
had ended; something was said if anything could be heard; and of tones, which are exact, nothing was left unheard.
A clause that was left unspoken because it was too late, and said to be, is counted and is no failure (row S8).
"""

from collections.abc import Iterator

from ops.report import Report


def shortcomings(report: Report, engine: str) -> Iterator[str]:
    """A sentence for each way in which the talk did not come through; nothing when it did."""
    chunks = report.chunks
    if chunks.acknowledged != chunks.sent:
        yield f"{chunks.sent - chunks.acknowledged} of {chunks.sent} chunks were not acknowledged"
    if report.lost or report.duplicated or report.reordered:
        yield f"{report.lost} clauses were lost, {report.duplicated} heard twice, {report.reordered} out of order"
    if report.not_told:
        yield f"{report.not_told} listeners were not told that the session had ended"
    if report.audible_ms and not any(utterance.text.strip() for utterance in report.said):
        yield (
            f"nothing was recognised, though {report.audible_ms / 1000:.1f} s of the talk can be heard; "
            f"the recogniser is {engine}"
        )
    elif engine == "tones" and report.unheard_ms:
        yield f"{report.unheard_ms} ms of tones are in no utterance"
