"""The `herald` command's beginning: as little as can be, so that a Ctrl-C is quiet from the first moment on."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended: 128 and the signal's number."""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks; the exit code."""
    try:
        with _interrupts_end_at_once():
            from ops.commands import run  # here, for it takes a third of a second

        return run(argv)
    except KeyboardInterrupt:
        return INTERRUPTED


@contextmanager
def _interrupts_end_at_once() -> Iterator[None]:
    """While modules are imported there is nothing to clean up, and a KeyboardInterrupt may be lost.

    Python drops what is raised in a callback.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # as in a background job, which ignores it
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
