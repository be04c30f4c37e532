import pytest

from stages.transcribe.definition import DEFINITION
from stages.transcribe.logic import Transcribe
from stages.transcribe.settings import TranscribeSettings
from streams.aws import Clients
from streams.program import ProgramContext
from streams.telemetry import Log, Metrics


async def test_the_stage_reads_audio_writes_transcripts_and_needs_a_recogniser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDLOCAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secretlocal")
    assert (DEFINITION.spec.input, DEFINITION.spec.output) == ("audio", "transcripts")
    settings = TranscribeSettings()
    assert isinstance(DEFINITION.build(settings)("golden-eagle-427", None), Transcribe)
    context = ProgramContext("herald", "worker", Log("test"), Metrics("test"))
    services = await DEFINITION.services(settings, Clients(), context)
    assert [service.name for service in services] == ["transcribe"]
    for service in services:
        await service.close()
