"""What can be made to go wrong in a twin, as data.

A test puts a list of faults to a twin's control plane; the twin asks `Faults.pick` at the start of every call or
stream and does what the picked fault says. What a kind means on the wire is the twin's business, but is the same in
all of them where it applies:

- ``throttle``: the service's own throttling error.
- ``partial``: success for some of a batch only; of a stream, an end without an error before its time.
- ``error``: the error ``code`` that the service models.
- ``slow``: the right answer, ``delay_ms`` late.
- ``cut``: the TCP connection is dropped.
- ``half_open``: the connection stays, and no answer ever comes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

Kind = Literal["throttle", "partial", "error", "slow", "cut", "half_open"]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that goes wrong, and when.

    ``operation`` is the service's name of the call, or ``*`` for any. The first ``skip`` matching calls pass; of the
    rest each is hit with ``probability`` (0 to 1) until ``count`` were hit (None: for ever). ``code`` is the error to
    answer for kind ``error``. For streams, the fault shows after ``after_bytes`` of answer or ``after_frames`` of
    input.
    """

    kind: Kind
    operation: str = "*"
    probability: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 1.0
    skip: _Count = 0
    count: _Count | None = None
    delay_ms: _Count = 0
    code: str = ""
    after_bytes: _Count = 0
    after_frames: _Count = 0


class Faults:
    """The faults that are switched on in one twin. Not thread safe: one event loop asks."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._faults: list[Fault] = []
        self._matched: list[int] = []
        self._hit: list[int] = []
        self._seen: Counter[str] = Counter()

    def replace(self, faults: Iterable[Fault]) -> None:
        """Switch these on, and all others off. What was skipped and spent is forgotten; `seen` is kept."""
        self._faults = list(faults)
        self._matched = [0] * len(self._faults)
        self._hit = [0] * len(self._faults)

    def active(self) -> list[Fault]:
        """The faults as they were put, in order, spent ones too."""
        return list(self._faults)

    def pick(self, operation: str) -> Fault | None:
        """The fault that hits this call: the first in the list that is due. To be asked once per call."""
        for i, fault in enumerate(self._faults):
            if fault.operation not in ("*", operation):
                continue
            self._matched[i] += 1
            spent = fault.count is not None and self._hit[i] >= fault.count
            if spent or self._matched[i] <= fault.skip or self._random.random() >= fault.probability:
                continue
            self._hit[i] += 1
            self._seen[fault.kind] += 1
            return fault
        return None

    def seen(self) -> dict[str, int]:
        """How many calls each kind has hit since the twin's start."""
        return dict(self._seen)


def decode(body: bytes) -> list[Fault]:
    """Faults from the control plane's JSON list. Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``."""
    return msgspec.json.decode(body, type=list[Fault])


def encode(faults: Iterable[Fault]) -> bytes:
    """Faults as the control plane answers them: a JSON list."""
    return msgspec.json.encode(list(faults))
