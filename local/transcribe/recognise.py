"""PocketSphinx run directly on whole recordings: what the streaming recogniser is measured by.

``python -m local.transcribe.recognise FILE.wav ...`` prints each file's words with their times in milliseconds.
"""

from __future__ import annotations

import argparse
import sys
import wave
from pathlib import Path

import pocketsphinx

from local.transcribe.request import SAMPLE_RATE_HZ
from local.transcribe.results import Word
from local.transcribe.sphinx import new_decoder, words_of


def recognise_file(pcm: bytes, decoder: pocketsphinx.Decoder | None = None) -> list[Word]:
    """The words of one whole recording, PCM16LE mono at 16 kHz, decoded in one piece with the twin's own settings.

    A ``decoder`` that is given is used again, with the model's cepstral mean; a new one costs 0.3 to 1 s.
    """
    decoder = decoder or new_decoder()
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    return words_of(decoder, 0)


def read_wav(path: Path) -> bytes:
    """A recording's samples. Raises ``ValueError`` when it is not 16 kHz mono PCM16."""
    with wave.open(str(path)) as file:
        form = file.getframerate(), file.getnchannels(), file.getsampwidth()
        if form != (SAMPLE_RATE_HZ, 1, 2):
            raise ValueError(f"{path}: 16 kHz, one channel of 16 bits is wanted, not {form}")
        samples: bytes = file.readframes(file.getnframes())
        return samples


def main() -> None:
    """Print the words of the files named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.transcribe.recognise", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.wav")
    decoder = new_decoder()
    for path in parser.parse_args().files:
        for word in recognise_file(read_wav(path), decoder):
            sys.stdout.write(f"{path.name}\t{word.start_ms}\t{word.end_ms}\t{word.text}\n")


if __name__ == "__main__":
    main()
