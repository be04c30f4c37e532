from __future__ import annotations

import pytest

from local.translate.languages import ENGLISH_NAMES, source_codes, target_code


@pytest.mark.parametrize(
    ("language", "variant", "code"),
    [
        ("eng", "", "en"),
        ("spa", "", "es"),
        ("gl", "", "gl"),
        ("pt", "BR", "pt"),
        ("pt", "", "pt-PT"),
        ("por", "", "pt-PT"),
        ("cat", "valencia", None),
        ("eng", "US", None),
        ("tlh", "", None),
    ],
)
def test_target(language: str, variant: str, code: str | None) -> None:
    assert target_code(language, variant) == code


def test_a_mode_reads_all_variants_of_its_language() -> None:
    assert set(source_codes("pt")) == {"pt", "pt-PT"}
    assert source_codes("cat") == ("ca",)
    assert source_codes("tlh") == ()


def test_all_codes_have_names() -> None:
    assert all(ENGLISH_NAMES[code] for code in (*source_codes("por"), *source_codes("eng")))
