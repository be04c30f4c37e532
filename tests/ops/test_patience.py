import pytest

from ops import patience
from ops.patience import TRIES, patiently
from streams.errors import HeraldError, Refused, Throttled, Unavailable


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE_S", 0.0)


class Flaky:
    def __init__(self, *errors: HeraldError) -> None:
        self.errors = list(errors)
        self.asked = 0

    async def __call__(self) -> int:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return 7


async def test_what_failed_in_passing_is_tried_again() -> None:
    do = Flaky(Throttled("x"), Unavailable("x"))
    assert (await patiently(do), do.asked) == (7, 3)


async def test_but_not_for_ever() -> None:
    do = Flaky(*[Throttled("x")] * 100)
    with pytest.raises(Throttled):
        await patiently(do)
    assert do.asked == TRIES


async def test_what_no_retry_mends_is_raised_at_once() -> None:
    do = Flaky(Refused("no"))
    with pytest.raises(Refused):
        await patiently(do)
    assert do.asked == 1


async def test_the_caller_may_know_better() -> None:
    do = Flaky(Unavailable("x"))
    with pytest.raises(Unavailable):
        await patiently(do, lambda error: isinstance(error, Throttled))
    assert do.asked == 1
