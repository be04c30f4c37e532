import msgspec

from ops.audit.result import LanguageAccount, Place, clause_name, place_at, place_of
from streams.stage import Position
from tests.ops.audit import talk


def test_a_sequence_number_is_text_for_it_has_56_digits() -> None:
    number = 49590338271490256608559692538361571095921575989136588898
    place = place_at("audio", Position("shardId-000000000002", number))
    assert msgspec.json.decode(msgspec.json.encode(place), type=Place).sequence_number == str(number)


def test_a_record_s_place() -> None:
    seen = talk.evidence(talk.records()).speech[3]
    assert place_of(seen) == Place("speech", "shardId-000000000000", "3")


def test_a_clause_in_a_sentence() -> None:
    assert clause_name("s:100", 2) == "clause 2 of utterance s:100"


def test_an_account_begins_with_nothing() -> None:
    assert set(msgspec.to_builtins(LanguageAccount()).values()) == {0}
