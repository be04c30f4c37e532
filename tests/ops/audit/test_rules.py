"""The whole: nothing is off when nothing is off, and each thing that is off is named."""

import msgspec

from ops.audit.rules import audit
from tests.ops.audit import talk


def test_a_talk_that_came_through() -> None:
    found = audit(talk.evidence(talk.records()))
    assert found.findings == []
    assert found.ok
    assert (found.state, found.listeners_known) == ("over", True)
    assert (found.sound.chunks, found.sound.duration_ms, found.sound.unheard_ms) == (40, 4000, 0)
    assert (found.words.utterances, found.words.clauses, found.words.words, found.words.open) == (2, 4, 8, 0)
    for code in ("es", "ca"):
        account = found.languages[code]
        assert (account.wanted, account.spoken, account.captioned, account.lost) == (4, 4, 4, 0)
        assert (account.received, account.reached) == (4, 4)
    assert (found.end.told, found.end.missed) == (1, 0)


def test_the_result_is_json_without_a_word_of_what_was_said() -> None:
    text = msgspec.json.encode(audit(talk.evidence(talk.records()))).decode()
    assert '"ok":true' in text
    assert "w000" not in text
