"""The stage's settings."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stages.emotion.engine import EngineName


class EmotionSettings(msgspec.Struct, frozen=True):
    """Read from the environment by `streams.settings.load`, each field under its name in capitals.

    enable_emotion_detection: "false" turns the stage off; listeners then get neutral speech (row E4). emotion_engine:
    `librosa` is the reference, some forty times dearer. audio_min_snr_db: below it the speaker is told (row A5).
    """

    enable_emotion_detection: Literal["true", "false"] = "true"
    emotion_engine: EngineName = "incremental"
    audio_min_snr_db: Annotated[float, Meta(ge=10, le=40)] = 20.0
