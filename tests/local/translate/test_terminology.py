from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.translate.terminology import MAX_TERMINOLOGIES, InvalidTerminology, Terminologies, keep_terms, parse

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_csv() -> None:
    languages, terms, skipped = parse(b'\xef\xbb\xbfen,es,ca\r\n"a, b",x,\r\nc,,z\r\n,only,target\r\nd\r\n', "CSV")
    assert languages == ("en", "es", "ca")
    assert terms == ({"en": "a, b", "es": "x"}, {"en": "c", "ca": "z"})
    assert skipped == 2


def test_tsv() -> None:
    assert parse(b"en\tes\na\tb\n", "TSV")[1] == ({"en": "a", "es": "b"},)


@pytest.mark.parametrize(
    ("data", "file_format", "why"),
    [
        (b"", "CSV", "first line"),
        (b"en\na\n", "CSV", "first line"),
        (b"en,en\na,b\n", "CSV", "different"),
        (b"en,es\na,b,c\n", "CSV", "line 2 has 3"),
        (b"en,es\n\xff,b\n", "CSV", "UTF-8"),
        (b'en,es\n"a,b\n', "CSV", "not CSV"),
        (b"<tmx/>", "TMX", "not read here"),
    ],
)
def test_broken_files(data: bytes, file_format: str, why: str) -> None:
    with pytest.raises(InvalidTerminology, match=why):
        parse(data, file_format)


def test_directions() -> None:
    store = Terminologies()
    one_way = store.put("uni", "", b"en,es\na,b\n", "CSV", "UNI", NOW)
    any_way = store.put("multi", "", b"en,es\na,b\n", "CSV", "MULTI", NOW)
    assert one_way.between("en", "es") == {"a": "b"}
    assert one_way.between("es", "en") == {}
    assert any_way.between("es", "en") == {"b": "a"}
    assert any_way.between("en", "fr") == {}


def test_overwriting_keeps_the_creation_time() -> None:
    store = Terminologies()
    store.put("t", "", b"en,es\na,b\n", "CSV", "UNI", NOW)
    later = NOW.replace(year=2027)
    again = store.put("t", "second", b"en,es\na,c\n", "CSV", "UNI", later)
    assert (again.created_at, again.updated_at) == (NOW, later)
    assert [terminology.name for terminology in store.all()] == ["t"]
    store.delete("t")
    with pytest.raises(KeyError):
        store.get("t")


def test_too_many() -> None:
    store = Terminologies()
    for number in range(MAX_TERMINOLOGIES):
        store.put(f"t{number}", "", b"en,es\na,b\n", "CSV", "UNI", NOW)
    with pytest.raises(OverflowError):
        store.put("one-more", "", b"en,es\na,b\n", "CSV", "UNI", NOW)


def test_terms_are_whole_words_longest_first_letter_for_letter() -> None:
    kept = keep_terms("New York, york, Yorkshire and York (York)", {"York": "1", "New York": "2"})
    assert kept.restore(kept.text) == "2, york, Yorkshire and 1 (1)"
    assert dict(kept.used) == {"New York": "2", "York": "1"}


def test_a_text_that_looks_like_a_stand_in() -> None:
    kept = keep_terms("qzt000000 York", {"York": "x"})
    assert kept.restore(kept.text) == "qzt000000 x"


def test_no_terms() -> None:
    kept = keep_terms("hello", {"York": "x"})
    assert (kept.text, kept.used, kept.restore("hola")) == ("hello", (), "hola")
