"""The stage as a program."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from stages.translate.definition import DEFINITION, offers_of
from streams.errors import Refused
from streams.program import main
from streams.stage import Stage
from streams.telemetry import Log


def test_the_stage_reads_and_writes_its_streams() -> None:
    assert (DEFINITION.spec.input, DEFINITION.spec.output) == ("transcripts", "speech")


def test_its_builder_takes_back_what_a_stage_gave() -> None:
    build = DEFINITION.build(DEFINITION.settings())
    new: Stage = build("golden-eagle-427", None)
    assert build("golden-eagle-427", new.snapshot()).snapshot() == new.snapshot()


class Desk:
    """A service that is away for so many calls."""

    def __init__(self, away: int, code: str = "ServiceUnavailable", status: int = 503) -> None:
        self.away = away
        self.calls = 0
        self._error = ClientError(
            {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
            "ListLanguages",
        )

    async def list_languages(self) -> dict[str, Any]:
        self.calls += 1
        if self.calls <= self.away:
            raise self._error
        return {"Languages": [{"LanguageCode": "es", "LanguageName": "Spanish"}]}

    async def describe_voices(self, **_: Any) -> dict[str, Any]:
        return {"Voices": [{"Id": "Lucia", "LanguageCode": "es-ES", "SupportedEngines": ["neural"]}]}


async def test_a_service_that_is_away_at_the_start_is_waited_for() -> None:
    desk = Desk(away=3)
    assert list(await offers_of(desk, desk, Log("translate"))) == ["es"]
    assert desk.calls == 4


async def test_a_refusal_at_the_start_is_an_error() -> None:
    desk = Desk(away=100, code="AccessDeniedException", status=400)
    with pytest.raises(Refused):
        await offers_of(desk, desk, Log("translate"))
    assert desk.calls == 1


def test_a_wrong_setting_ends_the_program_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMOTION_WAIT_MS", "-1")
    assert main(DEFINITION, []) == 2
    assert "EMOTION_WAIT_MS" in capsys.readouterr().err
