"""A process that decodes for several streams. Started by `local.transcribe.pool`; stdin and stdout are the protocol.

Both ways a message is a MessagePack object behind its length (uint32, big endian). A stream has one request under way
at a time and every request gets one answer, so streams take turns by themselves, and nothing queues up here. The end
of stdin is the end of the process: it can't outlive its pool.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from typing import BinaryIO, Literal

import msgspec
import pocketsphinx

from local.transcribe.request import Stability
from local.transcribe.results import Result
from local.transcribe.sphinx import SphinxRecogniser, new_decoder

LENGTH = struct.Struct("!I")


class Request(msgspec.Struct, array_like=True):
    """What the pool asks for one stream. ``session_id`` and ``stability`` matter to ``open``, ``pcm`` to ``feed``."""

    stream: int
    operation: Literal["open", "feed", "finish", "close"]
    pcm: bytes = b""
    session_id: str = ""
    stability: Stability | None = None


class Answer(msgspec.Struct, array_like=True):
    """What came of a request. Stream 0 is the process itself, which says once that it is ready."""

    stream: int
    results: list[Result] = []
    error: str = ""
    """Why the stream can't go on, when it can't."""


def encode(message: Request | Answer) -> bytes:
    """A message with its length before it."""
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body


class Worker:
    """The streams of one process, and decoders that wait for the next stream."""

    def __init__(self) -> None:
        first = new_decoder()
        self._initial_mean: str = first.get_cmn()
        self._idle: list[pocketsphinx.Decoder] = [first]
        self._streams: dict[int, tuple[SphinxRecogniser, pocketsphinx.Decoder]] = {}

    def answer(self, request: Request) -> Answer:
        """Do what is asked; what goes wrong in the decoder is the matter of this one stream."""
        try:
            return self._answer(request)
        except (RuntimeError, ValueError) as error:  # what pocketsphinx raises
            return Answer(request.stream, error=f"The decoder failed: {type(error).__name__}.")

    def _answer(self, request: Request) -> Answer:
        match request.operation:
            case "open":
                decoder = self._idle.pop() if self._idle else new_decoder()
                recogniser = SphinxRecogniser(decoder, self._initial_mean, request.session_id, request.stability)
                self._streams[request.stream] = recogniser, decoder
                return Answer(request.stream)
            case "feed":
                return Answer(request.stream, list(self._streams[request.stream][0].feed(request.pcm)))
            case "finish":
                return Answer(request.stream, list(self._streams[request.stream][0].finish()))
            case "close":
                recogniser, decoder = self._streams.pop(request.stream)
                recogniser.abandon()
                self._idle.append(decoder)
                return Answer(request.stream)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    worker = Worker()
    answers.write(encode(Answer(0)))
    answers.flush()
    decoder = msgspec.msgpack.Decoder(Request)
    while len(head := requests.read(LENGTH.size)) == LENGTH.size:
        request = decoder.decode(requests.read(LENGTH.unpack(head)[0]))
        answers.write(encode(worker.answer(request)))
        answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is the pool's to deal with
    protocol = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not get into the protocol
    serve(sys.stdin.buffer, protocol)
