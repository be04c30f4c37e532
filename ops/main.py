"""The `herald` command's beginning: as little as can be, so that a Ctrl-C is quiet from the first moment on."""

from collections.abc import Sequence

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended: 128 and the signal's number."""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks; the exit code."""
    try:
        from ops.commands import run  # here, for it takes a third of a second

        return run(argv)
    except KeyboardInterrupt:
        return INTERRUPTED
