from __future__ import annotations

from pathlib import Path

from local.translate.routes import Leg, Routes, parse_mode, read_modes


def leg(mode: str, data_bytes: int = 0) -> Leg:
    source, target = mode.split("-")
    return Leg(mode, source, target, (("cat",),), data_bytes)


def test_programs_are_made_resident() -> None:
    line = "lt-proc -w '/a b/x.bin' | apertium-tagger -g $2 '/x.prob' | lt-proc $1 '/x.gen.bin'\n"
    assert parse_mode(line) == (
        ("lt-proc", "-z", "-w", "/a b/x.bin"),
        ("apertium-tagger", "-z", "-g", "/x.prob"),
        ("lt-proc", "-z", "-n", "/x.gen.bin"),
    )


def test_reads_only_what_is_whole_and_known(tmp_path: Path) -> None:
    data = tmp_path / "data.bin"
    data.write_bytes(b"12345")
    modes = {
        "eng-spa": f"cat '{data}'",
        "es-pt": "cat",
        "es-pt_BR": "cat",
        "eng-cat": f"cat '{tmp_path}/is-missing.bin'",
        "eng-ita": "no-such-program-anywhere",
        "eng-cat_valencia": "cat",
        "eng-tlh": "cat",
        "eng-spa-tagger": "cat",
        "fra-cat": "",
    }
    for name, line in modes.items():
        (tmp_path / f"{name}.mode").write_text(line + "\n")
    found = {(leg.mode, leg.source, leg.target) for leg in read_modes(tmp_path)}
    assert {leg.mode: leg.data_bytes for leg in read_modes(tmp_path)} == {"eng-spa": 5, "es-pt": 0, "es-pt_BR": 0}
    assert found == {("eng-spa", "en", "es"), ("es-pt", "es", "pt-PT"), ("es-pt_BR", "es", "pt")}


def test_no_packages_no_languages(tmp_path: Path) -> None:
    routes = Routes(read_modes(tmp_path))
    assert routes.languages == ()
    assert routes.pairs() == ()
    assert routes.find("en", "es") is None


def test_the_shortest_way_is_taken() -> None:
    routes = Routes([leg("en-es"), leg("es-it"), leg("en-ca"), leg("ca-fr"), leg("fr-it"), leg("it-es")])
    assert [step.mode for step in routes.find("en", "it") or ()] == ["en-es", "es-it"]
    assert [step.mode for step in routes.find("it", "es") or ()] == ["it-es"]
    assert routes.find("it", "en") is None
    assert routes.find("en", "en") is None
    assert routes.find("xx", "en") is None


def test_of_ways_as_short_the_lighter_is_taken() -> None:
    heavy = [leg("en-ca", 10), leg("ca-fr", 500)]
    light = [leg("en-es", 20), leg("es-fr", 80)]
    for legs in (heavy + light, light + heavy):
        assert Routes(legs).find("en", "fr") == tuple(light)
    assert Routes([*heavy, leg("en-fr", 9_000)]).find("en", "fr") == (leg("en-fr", 9_000),)


def test_pairs_and_languages_are_those_that_are_connected() -> None:
    routes = Routes([leg("en-es"), leg("es-it")])
    assert routes.languages == ("en", "es", "it")
    assert routes.pairs() == (("en", "es"), ("en", "it"), ("es", "it"))


def test_what_this_machine_has() -> None:
    pairs = set(Routes(read_modes()).pairs())
    assert {("en", code) for code in ("es", "ca", "gl", "fr", "it", "pt", "pt-PT")} <= pairs
    assert {(code, "en") for code in ("es", "ca", "gl", "fr", "it", "pt", "pt-PT")} <= pairs
