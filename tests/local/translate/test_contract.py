"""What Amazon Translate promises, asked through boto3.

The endpoint is a twin; with HERALD_CONTRACT=aws in the environment it is the real service. So nothing here
depends on how well an engine translates, nor on terminologies that someone else has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.running import contract_client, error_of

NAME = "herald-contract-test"
CSV = b"en,es,fr\nHerald,Heraldo,Le Heraut\nnightjar,chotacabras,engoulevent\n"


@pytest.fixture(scope="module")
def translate() -> Iterator[Any]:
    with contract_client("translate") as client:
        yield client


def ask(client: Any, text: str, source: str = "en", target: str = "es", **more: Any) -> dict[str, Any]:
    return dict(client.translate_text(Text=text, SourceLanguageCode=source, TargetLanguageCode=target, **more))


def test_translates_and_repeats_the_codes(translate: Any) -> None:
    answer = ask(translate, "The house is red.")
    assert "casa" in answer["TranslatedText"].lower()
    assert (answer["SourceLanguageCode"], answer["TargetLanguageCode"]) == ("en", "es")


@pytest.mark.parametrize("target", ["es", "ca", "fr", "it", "pt"])
def test_translates_from_english_into(translate: Any, target: str) -> None:
    translated = ask(translate, "The house is big.", target=target)["TranslatedText"]
    assert any(word in translated.lower() for word in ("casa", "maison"))


def test_unknown_target(translate: Any) -> None:
    error = error_of(translate, lambda: ask(translate, "hello", target="xx"))
    assert error["Code"] == "UnsupportedLanguagePairException"
    assert error["Status"] == 400


def test_unknown_source(translate: Any) -> None:
    assert error_of(translate, lambda: ask(translate, "hello", source="qq"))["Code"] == (
        "UnsupportedLanguagePairException"
    )


def test_ten_thousand_bytes_are_taken(translate: Any) -> None:
    text = ("The house is red. " * 600)[:10_000]
    assert len(ask(translate, text)["TranslatedText"]) > 5_000


def test_more_bytes_are_refused(translate: Any) -> None:
    error = error_of(translate, lambda: ask(translate, "é" * 5_001))
    assert error["Code"] == "TextSizeLimitExceededException"


def test_settings_are_accepted(translate: Any) -> None:
    answer = ask(translate, "How are you?", Settings={"Formality": "FORMAL", "Profanity": "MASK"})
    assert answer["TranslatedText"]


def test_wrong_settings_are_refused(translate: Any) -> None:
    error = error_of(translate, lambda: ask(translate, "hi", Settings={"Formality": "RUDE"}))
    assert error["Code"] in ("ValidationException", "InvalidRequestException")


def test_languages_have_codes_and_names(translate: Any) -> None:
    languages = {row["LanguageCode"]: row["LanguageName"] for row in translate.list_languages()["Languages"]}
    assert languages["en"] == "English"
    assert languages["es"] == "Spanish"
    assert languages["ca"] == "Catalan"


def test_languages_come_in_pages(translate: Any) -> None:
    whole = [row["LanguageCode"] for row in translate.list_languages(MaxResults=500)["Languages"]]
    first = translate.list_languages(MaxResults=3)
    second = translate.list_languages(MaxResults=500, NextToken=first["NextToken"])
    assert [row["LanguageCode"] for row in first["Languages"] + second["Languages"]] == whole
    assert "NextToken" not in second


def test_wrong_page_token(translate: Any) -> None:
    assert error_of(translate, lambda: translate.list_languages(NextToken="nonsense"))["Code"] == (
        "InvalidParameterValueException"
    )


@pytest.fixture
def terminology(translate: Any) -> Iterator[dict[str, Any]]:
    imported = translate.import_terminology(
        Name=NAME, MergeStrategy="OVERWRITE", TerminologyData={"File": CSV, "Format": "CSV"}
    )
    try:
        yield imported["TerminologyProperties"]
    finally:
        translate.delete_terminology(Name=NAME)


def test_imported_terminology(translate: Any, terminology: dict[str, Any]) -> None:
    assert terminology["SourceLanguageCode"] == "en"
    assert sorted(terminology["TargetLanguageCodes"]) == ["es", "fr"]
    assert terminology["TermCount"] == 2
    found = translate.get_terminology(Name=NAME, TerminologyDataFormat="CSV")
    assert found["TerminologyProperties"]["Name"] == NAME
    assert found["TerminologyDataLocation"]["Location"].startswith("http")
    assert NAME in [row["Name"] for row in translate.list_terminologies()["TerminologyPropertiesList"]]


@pytest.mark.usefixtures("terminology")
def test_terminology_is_applied(translate: Any) -> None:
    answer = ask(translate, "A nightjar sings to Herald.", TerminologyNames=[NAME])
    assert "chotacabras" in answer["TranslatedText"]
    assert "Heraldo" in answer["TranslatedText"]
    (applied,) = answer["AppliedTerminologies"]
    assert applied["Name"] == NAME
    assert {"SourceText": "Herald", "TargetText": "Heraldo"} in applied["Terms"]


def test_unknown_terminology(translate: Any) -> None:
    for call in (
        lambda: ask(translate, "hello", TerminologyNames=["there-is-none"]),
        lambda: translate.get_terminology(Name="there-is-none"),
        lambda: translate.delete_terminology(Name="there-is-none"),
    ):
        assert error_of(translate, call)["Code"] == "ResourceNotFoundException"


def test_broken_terminology(translate: Any) -> None:
    for data in (b"", b"en\nonly one column\n", b"en,es\na,b,c\n"):
        error = error_of(
            translate,
            lambda data=data: translate.import_terminology(
                Name=NAME, MergeStrategy="OVERWRITE", TerminologyData={"File": data, "Format": "CSV"}
            ),
        )
        assert error["Code"] in ("InvalidParameterValueException", "InvalidRequestException", "ValidationException")
