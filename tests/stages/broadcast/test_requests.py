"""What is asked."""

from stages.broadcast.requests import Deliver


def test_a_delivery_tells_when_it_is_queued_and_when_it_is_over() -> None:
    assert Deliver.long_lived
    assert Deliver.dependency == "delivery"
