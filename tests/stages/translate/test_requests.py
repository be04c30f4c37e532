"""What is asked, under which name and with what patience."""

from stages.translate.requests import FindDynamics, FindLanguages, Synthesize, Translate


def test_each_dependency_has_its_own_breaker() -> None:
    kinds = (FindLanguages, FindDynamics, Translate, Synthesize)
    assert len({kind.dependency for kind in kinds}) == 4


def test_emotion_holds_nothing_up() -> None:
    assert not FindDynamics.guarded
    assert FindDynamics.attempts == 1
