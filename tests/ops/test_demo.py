import pytest

from ops.demo import languages
from ops.errors import CommandError


def test_languages_are_named_once_each() -> None:
    assert languages("es, ca,es") == ["es", "ca"]
    with pytest.raises(CommandError, match="--to es,ca"):
        languages(" , ")
