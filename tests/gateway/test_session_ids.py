from __future__ import annotations

import random
import re

from gateway.session_ids import ADJECTIVES, NOUNS, make


def test_ids_look_as_people_were_promised() -> None:
    below = random.Random(5).randrange
    for _ in range(500):
        assert re.fullmatch(r"[a-z]+-[a-z]+-[1-9][0-9]{2}", make(below))


def test_the_lists_are_long_and_without_repeats() -> None:
    assert len(ADJECTIVES) == len(set(ADJECTIVES)) >= 100
    assert len(NOUNS) == len(set(NOUNS)) >= 100
    assert all(re.fullmatch(r"[a-z]{3,12}", word) for word in ADJECTIVES + NOUNS)


def test_the_randomness_decides_and_reaches_both_ends() -> None:
    assert make(lambda n: 0) == f"{ADJECTIVES[0]}-{NOUNS[0]}-100"
    assert make(lambda n: n - 1) == f"{ADJECTIVES[-1]}-{NOUNS[-1]}-999"
