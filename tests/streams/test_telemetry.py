"""Row O7: a JSON object a line with the agreed keys; metrics as EMF; exceptions by type and place only (X2)."""

import json

import pytest

from streams.telemetry import NAMESPACE, Log, Metrics, place_of


def test_a_log_line_has_the_agreed_keys(capsys: pytest.CaptureFixture[str]) -> None:
    Log("transcribe").warning("reconnect", "the stream ended", "golden-eagle-427", duration_ms=12)
    captured = capsys.readouterr()
    assert captured.out == ""
    line = json.loads(captured.err)
    assert line["level"] == "WARNING"
    assert line["message"] == "the stream ended"
    assert line["component"] == "transcribe"
    assert line["operation"] == "reconnect"
    assert line["correlationId"] == "golden-eagle-427"
    assert line["metadata"] == {"duration_ms": 12}
    assert line["timestamp"].endswith("+00:00") or line["timestamp"].endswith("Z")


def test_metrics_are_emf_with_sums_of_counts_and_each_duration(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics("emotion")
    metrics.add("EmotionExtractionErrors")
    metrics.add("EmotionExtractionErrors", 2)
    metrics.add("EmotionExtractionLatency", 0.4, "Milliseconds")
    metrics.add("EmotionExtractionLatency", 0.6, "Milliseconds")
    metrics.flush()
    metrics.flush()
    (text,) = capsys.readouterr().err.splitlines()
    line = json.loads(text)
    assert line["EmotionExtractionErrors"] == 3
    assert line["EmotionExtractionLatency"] == [0.4, 0.6]
    (definition,) = line["_aws"]["CloudWatchMetrics"]
    assert definition["Namespace"] == NAMESPACE
    assert {row["Name"]: row["Unit"] for row in definition["Metrics"]} == {
        "EmotionExtractionErrors": "Count",
        "EmotionExtractionLatency": "Milliseconds",
    }


def test_a_line_never_has_more_values_than_the_format_takes(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics("emotion")
    for number in range(250):
        metrics.add("EmotionExtractionLatency", number, "Milliseconds")
    metrics.flush()
    lines = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert [len(line["EmotionExtractionLatency"]) for line in lines] == [100, 100, 50]


def test_a_metric_of_several_kinds_is_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics("control")
    metrics.add("RateLimitViolations", type="control")
    metrics.add("RateLimitViolations", type="join")
    metrics.add("RateLimitViolations", type="join")
    metrics.flush()
    lines = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert {line["type"]: line["RateLimitViolations"] for line in lines} == {"control": 1, "join": 2}
    assert lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["component", "type"]]


def test_an_exception_is_named_without_what_it_says() -> None:
    try:
        raise ValueError("the words that were said")
    except ValueError as error:
        place = place_of(error)
    assert place.startswith("ValueError in test_an_exception_is_named_without_what_it_says (test_telemetry.py:")
    assert "words" not in place
