"""A lease is certainly ours for as long as others wait, from the moment at which its renewal was sent."""

from streams.fence import Fence


def test_it_holds_until_others_may_take_the_lease() -> None:
    fence = Fence(valid_s=10, confirmed_s=100)
    assert fence.holds(109.9)
    assert not fence.holds(110)


def test_a_renewal_counts_from_when_it_was_sent_and_an_older_one_takes_nothing_back() -> None:
    fence = Fence(valid_s=10, confirmed_s=100)
    fence.confirm(105)
    fence.confirm(103)
    assert fence.holds(114.9)
    assert not fence.holds(115)


def test_without_a_lease_it_always_holds() -> None:
    assert Fence().holds(1e9)
