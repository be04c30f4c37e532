from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest

from local.transcribe.recognise import read_wav
from local.transcribe.worker import LENGTH, Answer, Request, Worker, encode, serve
from tests.support.wer import RECORDINGS

SESSION = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"
SPEECH = read_wav(RECORDINGS / "go-somewhere.wav")
SPOKEN = ["go", "somewhere", "and", "do", "something"]


def answers_in(written: bytes) -> list[Answer]:
    found = []
    while written:
        size = LENGTH.unpack_from(written)[0]
        found.append(msgspec.msgpack.decode(written[LENGTH.size : LENGTH.size + size], type=Answer))
        written = written[LENGTH.size + size :]
    return found


def test_ready_then_an_answer_to_each_request_then_the_end() -> None:
    requests = [
        Request(7, "open", session_id=SESSION, stability="low"),
        Request(7, "feed", SPEECH),
        Request(7, "finish"),
        Request(7, "close"),
    ]
    answers = io.BytesIO()
    serve(io.BytesIO(b"".join(encode(request) for request in requests)), answers)
    found = answers_in(answers.getvalue())
    assert [answer.stream for answer in found] == [0, 7, 7, 7, 7]
    assert not any(answer.error for answer in found)
    final = [*found[2].results, *found[3].results][-1]
    assert [word.text for word in final.words] == SPOKEN


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker()


def test_streams_do_not_hear_each_other_and_decoders_are_used_again(worker: Worker) -> None:
    heard: dict[int, list[Any]] = {1: [], 2: []}
    for stream in heard:
        worker.answer(Request(stream, "open", session_id=SESSION))
    silence = bytes(len(SPEECH))
    for at in range(0, len(SPEECH), 6400):
        heard[1] += worker.answer(Request(1, "feed", SPEECH[at : at + 6400])).results
        heard[2] += worker.answer(Request(2, "feed", silence[at : at + 6400])).results
    heard[1] += worker.answer(Request(1, "finish")).results
    heard[2] += worker.answer(Request(2, "finish")).results
    assert [word.text for word in heard[1][-1].words] == SPOKEN
    assert heard[2] == []
    decoders = [decoder for _, decoder in worker._streams.values()]
    for stream in heard:
        worker.answer(Request(stream, "close"))
    worker.answer(Request(3, "open", session_id=SESSION))
    assert worker._streams[3][1] in decoders
    worker.answer(Request(3, "close"))


def test_a_decoder_that_fails_is_the_matter_of_its_stream(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.answer(Request(4, "open", session_id=SESSION))

    def fail(_: bytes) -> None:
        raise RuntimeError("what pocketsphinx raises")

    monkeypatch.setattr(worker._streams[4][0], "feed", fail)
    assert worker.answer(Request(4, "feed", SPEECH)).error == "The decoder failed: RuntimeError."
    worker.answer(Request(4, "close"))
