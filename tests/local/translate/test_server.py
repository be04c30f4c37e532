"""What only the twin does: faults, counters, its queue, its end. What the service promises is in test_contract."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.exceptions
import psutil
import pytest

from tests.local.running import Running, client, error_of, running


@pytest.fixture(scope="module")
def twin() -> Iterator[Running]:
    with running("translate", "--warm", "en-es", "--pipelines", "1", "--max-waiting", "2") as twin:
        yield twin


@pytest.fixture
def translate(twin: Running) -> Iterator[Any]:
    with client("translate", twin.url) as made:
        yield made


def ask(made: Any, text: str = "two cats", source: str = "en", target: str = "es") -> str:
    return str(made.translate_text(Text=text, SourceLanguageCode=source, TargetLanguageCode=target)["TranslatedText"])


def test_wrong_secret(twin: Running) -> None:
    with client("translate", twin.url, secret="wrong") as made:
        error = error_of(made, lambda: ask(made))
    assert (error["Code"], error["Status"]) == ("InvalidSignatureException", 400)


def test_no_signature(twin: Running) -> None:
    request = urllib.request.Request(
        twin.url, data=b"{}", headers={"X-Amz-Target": "AWSShineFrontendService_20170701.ListLanguages"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    assert b"MissingAuthenticationTokenException" in caught.value.read()
    caught.value.close()


@pytest.mark.parametrize(("source", "target"), [("en", "en"), ("en", "de"), ("es", "es")])
def test_pairs_that_there_are_not(translate: Any, source: str, target: str) -> None:
    error = error_of(translate, lambda: ask(translate, "hello", source, target))
    assert error["Code"] == "UnsupportedLanguagePairException"
    assert (error["SourceLanguageCode"], error["TargetLanguageCode"]) == (source, target)


def test_no_detection(translate: Any) -> None:
    error = error_of(translate, lambda: ask(translate, source="auto"))
    assert error["Code"] == "InvalidRequestException"
    assert "SourceLanguageCode" in error["Message"]


def test_names_of_languages_in_english_only(translate: Any) -> None:
    error = error_of(translate, lambda: translate.list_languages(DisplayLanguageCode="fr"))
    assert error["Code"] == "UnsupportedDisplayLanguageCodeException"


def test_every_language_that_is_listed_can_be_reached(translate: Any) -> None:
    codes = [row["LanguageCode"] for row in translate.list_languages()["Languages"]]
    assert len(codes) == len(set(codes))
    for code in set(codes) - {"en"}:
        assert ask(translate, "house", target=code)


def test_the_file_of_a_terminology(translate: Any) -> None:
    data = b"en,es\ncats,MININOS\n"
    translate.import_terminology(
        Name="cats", MergeStrategy="OVERWRITE", TerminologyData={"File": data, "Format": "CSV"}
    )
    location = translate.get_terminology(Name="cats")["TerminologyDataLocation"]["Location"]
    with urllib.request.urlopen(location, timeout=5) as response:
        assert response.read() == data
    answer = translate.translate_text(
        Text="two cats", SourceLanguageCode="en", TargetLanguageCode="es", TerminologyNames=["cats"]
    )
    assert answer["TranslatedText"] == "dos MININOS"
    translate.delete_terminology(Name="cats")


def test_counts(twin: Running, translate: Any) -> None:
    before = twin.control("GET", "calls")["TranslateText"]
    ask(translate, "two cats")
    ask(translate, "héllo", target="ca")
    error_of(translate, lambda: ask(translate, target="xx"))
    after = twin.control("GET", "calls")["TranslateText"]
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown["calls"] == 3
    assert grown["errors"] == 1
    assert grown["characters"] == 13
    assert (grown["calls.en-es"], grown["characters.en-es"]) == (1, 8)
    assert (grown["calls.en-ca"], grown["characters.en-ca"]) == (1, 5)


def test_throttle_is_retried_by_clients(twin: Running) -> None:
    with (
        client("translate", twin.url, attempts=3) as made,
        twin.faults({"kind": "throttle", "operation": "TranslateText", "count": 2}),
    ):
        assert ask(made) == "dos gatos"


def test_error(twin: Running, translate: Any) -> None:
    with twin.faults({"kind": "error", "code": "ServiceUnavailableException"}):
        error = error_of(translate, lambda: ask(translate))
    assert (error["Code"], error["Status"]) == ("ServiceUnavailableException", 500)


def test_slow(twin: Running, translate: Any) -> None:
    with twin.faults({"kind": "slow", "delay_ms": 300}):
        started = time.monotonic()
        assert ask(translate) == "dos gatos"
        assert time.monotonic() - started >= 0.3


def test_cut(twin: Running, translate: Any) -> None:
    with twin.faults({"kind": "cut"}), pytest.raises(botocore.exceptions.HTTPClientError):
        ask(translate)
    assert ask(translate) == "dos gatos"


def test_cut_in_the_middle(twin: Running, translate: Any) -> None:
    """A trap of botocore: a body cut short is no error, the answer is only empty."""
    with twin.faults({"kind": "cut", "after_bytes": 10}):
        answer = translate.translate_text(Text="two cats", SourceLanguageCode="en", TargetLanguageCode="es")
    assert "TranslatedText" not in answer
    assert ask(translate) == "dos gatos"


def test_half_open(twin: Running) -> None:
    with (
        client("translate", twin.url, timeout_s=0.3) as impatient,
        twin.faults({"kind": "half_open"}),
        pytest.raises(botocore.exceptions.ReadTimeoutError),
    ):
        ask(impatient)


def test_wrong_faults(twin: Running) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        twin.control("PUT", "faults", [{"kind": "flood"}])
    assert caught.value.code == 400
    caught.value.close()


def test_full_says_so(twin: Running, translate: Any) -> None:
    """The one pipeline is stopped, so that requests pile up: two wait, the others are told."""
    for child in twin.children():
        child.suspend()
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(error_or_text, twin.url) for _ in range(6)]
        while sum(future.done() for future in asked) < 3:
            time.sleep(0.01)
        for child in twin.children():
            child.resume()
        answers = [future.result() for future in asked]
    assert answers.count("dos gatos") == 3
    assert sum("ThrottlingException" in answer and "1 engines are busy" in answer for answer in answers) == 3


def error_or_text(url: str) -> str:
    with client("translate", url) as made:
        try:
            return ask(made)
        except made.exceptions.ClientError as error:
            return str(error)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_ends_with_all_its_children(end: signal.Signals) -> None:
    with running("translate", "--warm", "en-es,en-ca") as twin, client("translate", twin.url, timeout_s=5) as made:
        ask(made)
        children = twin.children()
        assert len(children) > 10
        children[5].suspend()  # it will not notice the end of its input
        os.kill(twin.process.pid, end)
        assert twin.process.wait(timeout=10) == (0 if end is signal.SIGTERM else -end)
        assert psutil.wait_procs(children, timeout=5)[1] == []


def test_stops_at_once_with_requests_at_work() -> None:
    with running("translate") as twin, client("translate", twin.url) as made, ThreadPoolExecutor(1) as threads:
        with_fault = twin.control("PUT", "faults", [{"kind": "half_open"}])
        assert with_fault[0]["kind"] == "half_open"
        asked = threads.submit(lambda: error_or_cut(made))
        while not twin.control("GET", "calls").get("TranslateText", {}).get("calls"):
            time.sleep(0.01)
        assert twin.stop() == 0
        assert asked.result() in ("ServiceUnavailableException", "cut")


def error_or_cut(made: Any) -> str:
    try:
        return ask(made)
    except made.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    except botocore.exceptions.HTTPClientError:
        return "cut"


def test_an_unknown_pair_to_warm_ends_it() -> None:
    with pytest.raises(AssertionError), running("translate", "--warm", "en-xx"):
        pass


def test_the_log_holds_nothing_of_the_text(tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("w") as log,
        running("translate", log=log.fileno()) as twin,
        client("translate", twin.url) as made,
    ):
        ask(made, "a very confidential cat")
        error_of(made, lambda: ask(made, "confidential", target="xx"))
        error_of(made, lambda: ask(made, "confidential" * 1_000))
        assert twin.stop() == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(lines) == 3
    assert "confidential" not in str(lines)


def test_a_signal_right_after_ready_is_a_clean_stop() -> None:
    with running("translate", "--warm", "en-es") as twin:
        assert twin.stop() == 0


def test_a_signal_while_loading_leaves_nothing() -> None:
    process = subprocess.Popen(
        (sys.executable, "-m", "local.translate", "--warm", "en-fr"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
    )
    try:
        while len(children := psutil.Process(process.pid).children()) < 12:
            time.sleep(0.01)
        process.terminate()
        assert process.wait(timeout=5) == 0
        assert psutil.wait_procs(children, timeout=5)[1] == []
    finally:
        process.kill()
        process.wait()
