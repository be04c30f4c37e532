import re
from html.parser import HTMLParser

import numpy as np

from ops.page import page
from tests.ops.test_report import a_report


class Checker(HTMLParser):
    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_asks_for_nothing() -> None:
    sound = np.zeros(1600, np.int16)
    text = page(a_report(), sound, {"es": sound}, [("es 0.0 s", {"captured": 0, "admitted": 5})])
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert len(checker.addresses) == 2
    assert all(address.startswith("data:audio/wav;base64,") for address in checker.addresses)
    assert not re.search(r"https?://|@import|url\(", text)
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text
    assert "hola" in text
