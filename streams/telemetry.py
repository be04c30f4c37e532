"""Logs and metrics of a program, on stderr: stdout is for `ready` lines, and under the KCL for its protocol (row O7).

Row X2 holds: nobody logs audio, tokens, connection ids or text; exceptions are named by type and place only.
"""

import json
import sys
import time
from collections import defaultdict
from typing import Any, Final

from aws_lambda_powertools import Logger

NAMESPACE: Final = "WebSocketAudio"
FLUSH_EVERY_S: Final = 10.0


class Log:
    """One component's log: a JSON object a line, with the keys of row O7."""

    def __init__(self, component: str) -> None:
        self._component = component
        self._logger = Logger(service=component, stream=sys.stderr, location=None, use_rfc3339=True, utc=True)

    def info(self, operation: str, message: str, session_id: str | None = None, **metadata: Any) -> None:
        """Something an operator wants to know of."""
        self._logger.info(message, extra=self._keys(operation, session_id, metadata))

    def warning(self, operation: str, message: str, session_id: str | None = None, **metadata: Any) -> None:
        """Something that was mended, or will be tried again."""
        self._logger.warning(message, extra=self._keys(operation, session_id, metadata))

    def error(self, operation: str, message: str, session_id: str | None = None, **metadata: Any) -> None:
        """Something was lost or refused, or an operator must act."""
        self._logger.error(message, extra=self._keys(operation, session_id, metadata))

    def _keys(self, operation: str, session_id: str | None, metadata: dict[str, Any]) -> dict[str, Any]:
        return {
            "component": self._component,
            "operation": operation,
            "correlationId": session_id,
            "metadata": metadata,
        }


_Of = tuple[tuple[str, str], ...]


class Metrics:
    """Counts and durations of one component, written as EMF lines (CloudWatch's embedded metric format).

    EMF takes many values of one name in one line; they are gathered for FLUSH_EVERY_S. A name keeps at most 100 values
    a line, the format's own limit.
    """

    MAX_VALUES: Final = 100

    def __init__(self, component: str) -> None:
        self._component = component
        self._values: dict[_Of, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
        self._sums: dict[_Of, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def add(self, name: str, value: float = 1.0, unit: str = "Count", **of: str) -> None:
        """Note a value. Counts add up; other units keep each value. of: dimensions besides the component, such as
        `type="control"`: few values each, for every combination is a metric of its own."""
        kind = tuple(sorted(of.items()))
        if unit == "Count":
            self._sums[kind][name] += value
            return
        values = self._values[kind][name, unit]
        values.append(value)
        if len(values) >= self.MAX_VALUES:
            self.flush()

    def flush(self) -> None:
        """Write what has been gathered."""
        kinds = dict.fromkeys([*self._values, *self._sums])
        for kind in kinds:
            self._write(dict(kind), self._values.pop(kind, {}), self._sums.pop(kind, {}))
        if kinds:
            sys.stderr.flush()

    def _write(self, of: dict[str, str], values: dict[tuple[str, str], list[float]], sums: dict[str, float]) -> None:
        definitions = [{"Name": name, "Unit": unit} for name, unit in values]
        definitions += [{"Name": name, "Unit": "Count"} for name in sums]
        described = {"Namespace": NAMESPACE, "Dimensions": [["component", *of]], "Metrics": definitions}
        line: dict[str, Any] = {
            "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [described]},
            "component": self._component,
            **of,
        }
        line |= {name: kept for (name, _), kept in values.items()}
        line |= sums
        sys.stderr.write(json.dumps(line) + "\n")


def place_of(error: BaseException) -> str:
    """An exception as the log may have it: its type, and where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    code = trace.tb_frame.f_code
    return f"{type(error).__name__} in {code.co_qualname} ({code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
