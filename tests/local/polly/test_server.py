"""What only the twin does: faults, counters, its queue, its end. What the service promises is in test_contract."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.exceptions
import numpy as np
import psutil
import pytest

from local.polly.score import Mark, Passage, Pause, Prosody, Rest, Score, Utter
from local.polly.server import job
from local.polly.voices import BY_ID
from tests.local.running import Running, client, error_of, running


@pytest.fixture(scope="module")
def twin() -> Iterator[Running]:
    with running("polly", "--workers", "1", "--max-waiting", "2") as twin:
        yield twin


@pytest.fixture
def polly(twin: Running) -> Iterator[Any]:
    with client("polly", twin.url) as made:
        yield made


def ask(made: Any, text: str = "hello there", **more: Any) -> bytes:
    asked = {"OutputFormat": "pcm", "VoiceId": "Joanna", **more}
    return bytes(made.synthesize_speech(Text=text, **asked)["AudioStream"].read())


def test_the_score_for_a_worker() -> None:
    score = Score(
        (
            Passage("a", Prosody(rate=2.0, gain_db=1.0), (0,)),
            Mark("m", 1, 2),
            Pause(5.0, natural=True),
            Passage("b", Prosody(gain_db=None, language_code="fr-FR", whispered=True), (3,)),
        ),
        2,
    )
    assert job(score, BY_ID["Joanna"], 8_000).parts == [
        Utter("a", "en-us+f2", 2.0, 0.0, -2.0),
        Rest(0.0, False),
        Rest(5.0, True),
        Utter("b", "fr+whisper", 1.0, 0.0, None),
    ]


def test_wrong_secret(twin: Running) -> None:
    with client("polly", twin.url, secret="wrong") as made:
        error = error_of(made, lambda: ask(made))
        assert (error["Code"], error["Status"]) == ("InvalidSignatureException", 403)
        assert error_of(made, lambda: made.describe_voices(LanguageCode="es-ES"))["Status"] == 403


def test_every_voice_speaks(polly: Any) -> None:
    for voice in polly.describe_voices()["Voices"]:
        assert len(ask(polly, "1 2 3", VoiceId=voice["Id"], Engine=voice["SupportedEngines"][0])) > 10_000


def test_telephone_formats_are_the_same_sound(polly: Any) -> None:
    pcm = np.frombuffer(ask(polly, SampleRate="8000"), "<i2")
    for output_format in ("mulaw", "alaw"):
        assert len(ask(polly, OutputFormat=output_format)) == len(pcm)


def test_formats_that_are_not_made_are_named(polly: Any) -> None:
    error = error_of(polly, lambda: ask(polly, OutputFormat="mp3"))
    assert error["Code"] == "ValidationException"
    assert "mp3 is not made" in error["Message"]


def test_nothing_to_say(polly: Any) -> None:
    assert ask(polly, " ") == b""
    assert ask(polly, "<speak/>", TextType="ssml") == b""


def test_a_pause_alone(polly: Any) -> None:
    assert len(ask(polly, "<speak><break time='1s'/></speak>", TextType="ssml")) == 32_000


def test_a_request_at_the_limit(polly: Any) -> None:
    assert len(ask(polly, ("house " * 500)[:3_000])) > 1_000_000


def test_counts(twin: Running, polly: Any) -> None:
    before = twin.control("GET", "calls")["SynthesizeSpeech"]
    ask(polly, "12345")
    ask(polly, "<speak><s>día</s></speak>", TextType="ssml", VoiceId="Lucia")
    error_of(polly, lambda: ask(polly, VoiceId="Nobody"))
    after = twin.control("GET", "calls")["SynthesizeSpeech"]
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert (grown["calls"], grown["errors"], grown["characters"]) == (3, 1, 8)
    assert (grown["calls.en-US"], grown["characters.en-US"]) == (1, 5)
    assert (grown["calls.es-ES"], grown["characters.es-ES"]) == (1, 3)


def test_throttle_is_retried_by_clients(twin: Running) -> None:
    with client("polly", twin.url, attempts=3) as made, twin.faults({"kind": "throttle", "count": 2}):
        assert ask(made)


def test_error(twin: Running, polly: Any) -> None:
    with twin.faults({"kind": "error", "code": "ServiceFailureException", "operation": "SynthesizeSpeech"}):
        error = error_of(polly, lambda: ask(polly))
        assert polly.describe_voices(LanguageCode="es-ES")["Voices"]
    assert (error["Code"], error["Status"]) == ("ServiceFailureException", 500)


def test_cut(twin: Running, polly: Any) -> None:
    with twin.faults({"kind": "cut"}), pytest.raises(botocore.exceptions.HTTPClientError):
        ask(polly)


def test_cut_in_the_middle(twin: Running, polly: Any) -> None:
    with (
        twin.faults({"kind": "cut", "after_bytes": 3_000}),
        pytest.raises((botocore.exceptions.IncompleteReadError, botocore.exceptions.ResponseStreamingError)),
    ):
        ask(polly)
    assert ask(polly)


def test_half_open(twin: Running) -> None:
    with (
        client("polly", twin.url, timeout_s=0.3) as impatient,
        twin.faults({"kind": "half_open"}),
        pytest.raises(botocore.exceptions.ReadTimeoutError),
    ):
        ask(impatient)


def test_a_killed_worker_is_replaced_unnoticed(twin: Running, polly: Any) -> None:
    sound = ask(polly)
    (worker,) = twin.children()
    worker.kill()
    assert ask(polly) == sound


def test_full_says_so(twin: Running, polly: Any) -> None:
    """The one worker is stopped, so that requests pile up: two wait, the others are told."""
    ask(polly)
    (worker,) = twin.children()
    worker.suspend()
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(error_or_bytes, twin.url) for _ in range(6)]
        while sum(future.done() for future in asked) < 3:
            time.sleep(0.01)
        worker.resume()
        answers = [future.result() for future in asked]
    refused = [answer for answer in answers if isinstance(answer, str)]
    assert len(refused) == 3
    assert all("ThrottlingException" in answer and "1 engines are busy" in answer for answer in refused)


def error_or_bytes(url: str) -> str | bytes:
    with client("polly", url) as made:
        try:
            return ask(made)
        except made.exceptions.ClientError as error:
            return str(error)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_ends_with_all_its_children(end: signal.Signals) -> None:
    with running("polly") as twin, client("polly", twin.url, timeout_s=5) as made:
        ask(made)
        children = twin.children()
        assert len(children) == 1
        os.kill(twin.process.pid, end)
        assert twin.process.wait(timeout=10) == (0 if end is signal.SIGTERM else -end)
        assert psutil.wait_procs(children, timeout=5)[1] == []


def test_the_log_holds_nothing_of_the_text(tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("w") as log,
        running("polly", log=log.fileno()) as twin,
        client("polly", twin.url) as made,
    ):
        ask(made, "a very confidential cat")
        error_of(made, lambda: ask(made, "<speak>confidential", TextType="ssml"))
        error_of(made, lambda: ask(made, "confidential" * 1_000))
        assert twin.stop() == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(lines) == 3
    assert "confidential" not in str(lines)
