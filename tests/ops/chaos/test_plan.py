import msgspec
import pytest

from local import faults, proxy
from ops.chaos.plan import NET_FAULTS, SHARDS, STAGE_NAMES, TWIN_FAULTS, Fault, plan
from ops.parts import Options, parts

SEEDS = range(1, 60)
PARTS = {part.name for part in parts(Options(proxies=True))}


def a_plan(seed: int, minutes: float = 3) -> list[Fault]:
    return plan(seed, minutes, 6, 10).faults


def test_it_is_a_function_of_the_seed() -> None:
    assert plan(7, 3, 6, 10) == plan(7, 3, 6, 10)
    assert plan(7, 3, 6, 10) != plan(8, 3, 6, 10)


def test_it_goes_through_json() -> None:
    made = plan(7, 3, 6, 10)
    assert msgspec.json.decode(msgspec.json.encode(made), type=type(made)) == made


@pytest.mark.parametrize(("minutes", "from_s", "until_s"), [(0.75, 6.75, 27), (3, 12, 125), (10, 12, 545)])
def test_faults_come_in_order_and_end_early_enough(minutes: float, from_s: float, until_s: float) -> None:
    for seed in SEEDS:
        found = a_plan(seed, minutes)
        assert found == sorted(found, key=lambda fault: fault.at_s)
        assert found[0].at_s >= from_s
        assert max(fault.ends_s for fault in found) <= until_s


def test_no_target_is_hit_twice_at_once() -> None:
    for seed in SEEDS:
        found = a_plan(seed, 10)
        for number, fault in enumerate(found):
            for other in found[:number]:
                if other.target == fault.target and fault.lasts_s and other.lasts_s:
                    assert fault.at_s >= other.ends_s or other.at_s >= fault.ends_s


def test_three_minutes_have_about_every_kind() -> None:
    kinds = {*TWIN_FAULTS, *(f"net-{kind}" for kind in NET_FAULTS), "kill", "kill-twin", "freeze", "zombie"}
    kinds |= {"rolling", "reconnect", "split", "merge", "update"}
    found = [{fault.kind for fault in a_plan(seed)} for seed in range(1, 11)]
    assert set().union(*found) == kinds
    assert all(len(one) >= 0.6 * len(kinds) for one in found)


def test_every_stage_is_killed_in_a_long_run() -> None:
    killed = {fault.target for fault in a_plan(1, 10) if fault.kind == "kill"}
    assert killed == set(STAGE_NAMES)


def test_faults_hit_what_there_is_and_are_what_twins_and_proxies_take() -> None:
    for seed in SEEDS:
        made = plan(seed, 10, 3, 10)
        for fault in made.faults:
            if fault.kind in TWIN_FAULTS:
                assert fault.target in PARTS
                (put,) = faults.decode(msgspec.json.encode([fault.put]))
                assert put.kind.replace("_", "-") == fault.kind
            elif fault.kind.startswith("net-"):
                assert fault.target in PARTS
                (trouble,) = proxy.decode(msgspec.json.encode([fault.put]))
                assert f"net-{trouble.kind}" == fault.kind
            elif fault.kind == "reconnect":
                session, _, number = fault.target.partition("/")
                assert int(number) < len(made.talks[int(session)].languages)
            elif fault.kind in ("kill", "kill-twin", "freeze", "zombie"):
                assert fault.target in PARTS
                assert (fault.kind, fault.target) != ("kill-twin", "dynamodb")  # it would lose everything


def test_reshards_are_what_the_service_allows() -> None:
    for seed in SEEDS:
        open_shards: dict[str, int] = {}
        for fault in a_plan(seed, 10):
            if fault.kind in ("split", "merge", "update"):
                before = open_shards.get(fault.target, SHARDS)
                after = open_shards[fault.target] = fault.put["shards"]
                allowed = {"split": [before + 1], "merge": [before - 1]}.get(fault.kind)
                assert after in allowed if allowed else before / 2 <= after <= 2 * before
                assert after >= 1
                assert after != before


def test_sessions_have_words_of_their_own_and_a_listener() -> None:
    talks = plan(3, 10, 12, 10).talks
    assert [talk.first_word for talk in talks] == [n * 10_000 + 1 for n in range(12)]
    assert all(1 <= len(set(talk.languages)) == len(talk.languages) <= 2 for talk in talks)
