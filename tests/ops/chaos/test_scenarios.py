import msgspec
import pytest

from local import faults, proxy
from ops.chaos.scenarios import SCENARIOS, scenario
from ops.parts import Options, parts

PARTS = {part.name for part in parts(Options(proxies=True))}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_a_plan_that_can_be_done(name: str) -> None:
    found = scenario(name, 1, 5, 6, 10)
    assert (found.name, len(found.talks)) == (name, 6)
    assert max(fault.ends_s for fault in found.faults) <= found.talk_s
    for fault in found.faults:
        assert fault.target in PARTS
        if fault.put:
            decode = proxy.decode if fault.target.endswith("-proxy") else faults.decode
            assert decode(msgspec.json.encode([fault.put]))


def test_flaky_hits_everything_that_is_called_for_the_whole_run() -> None:
    found = scenario("flaky", 1, 5, 6, 10)
    assert found.talk_s == 300
    hit = {fault.target: fault.put for fault in found.faults}
    services = {"kinesis", "translate-twin", "polly-twin", "transcribe-twin", "gateway", "dynamodb-proxy"}
    assert set(hit) == services
    assert all(put["probability"] == 0.2 for put in hit.values())
    assert all((fault.at_s, fault.lasts_s) == (0, 300) for fault in found.faults)


def test_a_zombie_sleeps_for_twice_its_lease() -> None:
    found = scenario("zombie", 1, 5, 6, 7)
    assert {fault.target for fault in found.faults} == {"transcribe", "emotion", "translate", "broadcast"}
    assert all(fault.lasts_s == 14 for fault in found.faults)
    assert all(later.at_s > earlier.ends_s for earlier, later in zip(found.faults, found.faults[1:], strict=False))


@pytest.mark.parametrize(("name", "away_s"), [("kinesis-away", 60), ("dynamodb-away", 60), ("transcribe-away", 300)])
def test_who_is_away_comes_back_in_time_for_the_delay_to_be_seen_normal_again(name: str, away_s: float) -> None:
    found = scenario(name, 1, 5, 6, 10)
    (fault,) = found.faults
    assert fault.lasts_s == away_s
    assert found.talk_s - fault.ends_s >= 90
