from __future__ import annotations

import pytest

from local.polly.levels import PARAGRAPH_MS, SENTENCE_MS
from local.polly.score import Mark, Passage, Pause, Prosody
from local.polly.ssml import InvalidSsml, plain, read
from local.polly.voices import BY_ID

JOANNA, ARLET = BY_ID["Joanna"], BY_ID["Arlet"]


def parts(body: str, engine: str = "standard") -> tuple[Passage | Pause | Mark, ...]:
    return read(f"<speak>{body}</speak>", JOANNA, engine).parts


def prosody(body: str, engine: str = "standard") -> Prosody:
    (passage,) = parts(body, engine)
    assert isinstance(passage, Passage)
    return passage.prosody


def texts(body: str) -> list[str | float]:
    return [
        part.text if isinstance(part, Passage) else part.duration_ms if isinstance(part, Pause) else part.name
        for part in parts(body)
    ]


def test_plain_text_is_taken_as_it_is() -> None:
    score = plain("a <b> & é")
    assert score.billed == 9
    assert score.parts == (Passage("a <b> & é", Prosody(), (0, 1, 2, 3, 4, 5, 6, 7, 8)),)


def test_offsets_are_bytes_of_the_document() -> None:
    (passage,) = parts("é &amp; b")
    assert isinstance(passage, Passage)
    assert passage.text == "é & b"
    assert passage.offsets == (7, 9, 10, 15, 16)


def test_only_text_is_billed() -> None:
    assert read("<speak><s>ab</s> <p>c&lt;</p></speak>", JOANNA, "standard").billed == 5


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ('volume="x-soft"', Prosody(gain_db=-12.0)),
        ('volume="silent"', Prosody(gain_db=None)),
        ('volume="+6dB"', Prosody(gain_db=6.0)),
        ('volume="-1.5dB"', Prosody(gain_db=-1.5)),
        ('rate="x-slow"', Prosody(rate=0.5)),
        ('rate="20%"', Prosody(rate=0.2)),
        ('rate="200%"', Prosody(rate=2.0)),
        ('pitch="high"', Prosody(pitch_percent=20.0)),
        ('pitch="-10%"', Prosody(pitch_percent=-10.0)),
        ('pitch="+90%"', Prosody(pitch_percent=50.0)),
        ('rate="fast" volume="loud"', Prosody(rate=1.25, gain_db=4.5)),
        ('amazon:max-duration="2s"', Prosody()),
    ],
)
def test_prosody(attributes: str, wanted: Prosody) -> None:
    assert prosody(f"<prosody {attributes}>a</prosody>") == wanted


def test_relative_volumes_add_up_and_names_replace() -> None:
    assert prosody('<prosody volume="-3dB"><prosody volume="-3dB">a</prosody></prosody>').gain_db == -6.0
    assert prosody('<prosody volume="loud"><prosody volume="soft">a</prosody></prosody>').gain_db == -6.0
    assert prosody('<prosody volume="silent"><prosody volume="+3dB">a</prosody></prosody>').gain_db is None


def test_what_comes_after_is_as_before() -> None:
    first, second, third = parts('a <prosody rate="slow">b</prosody> c')
    assert isinstance(first, Passage)
    assert isinstance(second, Passage)
    assert isinstance(third, Passage)
    assert [part.prosody.rate for part in (first, second, third)] == [1.0, 0.75, 1.0]


def test_emphasis_is_louder_and_slower() -> None:
    strong = prosody('<emphasis level="strong">a</emphasis>')
    assert strong.gain_db == 3.0
    assert strong.rate < 1
    assert prosody("<emphasis>a</emphasis>").gain_db == 1.5


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("<s>a</s><s>b</s>", ["a", SENTENCE_MS, "b", SENTENCE_MS]),
        ("<p>a</p> <p><s>b</s></p>", ["a", PARAGRAPH_MS, "b", PARAGRAPH_MS]),
        ('a<break time="1.5s"/>b', ["a", 1500.0, "b"]),
        ('a<break strength="x-strong"/>b<break/>', ["a", PARAGRAPH_MS, "b", 250.0]),
        ('<sub alias="World Wide Web">WWW</sub>', ["World Wide Web"]),
        ('<say-as interpret-as="characters">a b1</say-as>', ["a b 1"]),
        ('<say-as interpret-as="date" format="mdy">1/2/2026</say-as>', ["1/2/2026"]),
        ('<say-as interpret-as="expletive">damn</say-as>', ["beep"]),
        ('a <w role="amazon:VBD">read</w> b', ["a read b"]),
        ('<phoneme alphabet="ipa" ph="pɪˈkɑːn">pecan</phoneme>', ["pecan"]),
        ('<amazon:auto-breaths volume="soft">a</amazon:auto-breaths>', ["a"]),
        ('a <mark name="m"/> b', ["a  b"]),
        ('<mark name="m"/>', ["m"]),
        (" \n ", []),
    ],
)
def test_parts(body: str, wanted: list[str | float]) -> None:
    assert texts(body) == wanted


def test_marks_stand_in_the_text_and_do_not_cut_it() -> None:
    (passage,) = parts('one <mark name="x>y"/>two')
    assert isinstance(passage, Passage)
    assert passage.text == "one two"
    assert passage.marks == ((4, Mark("x>y", 11, 29)),)


def test_marks_stay_in_place_when_passages_join() -> None:
    (passage,) = parts('<w role="amazon:NN">one</w> <mark name="m"/>two')
    assert isinstance(passage, Passage)
    assert [(at, mark.name) for at, mark in passage.marks] == [(4, "m")]


def test_languages_and_whispers() -> None:
    assert prosody('<lang xml:lang="fr-FR">a</lang>').language_code == "fr-FR"
    assert prosody('<amazon:effect name="whispered">a</amazon:effect>').whispered
    assert prosody('<amazon:effect phonation="soft">a</amazon:effect>').gain_db == -6.0
    assert prosody('<amazon:effect vocal-tract-length="+10%">a</amazon:effect>') == Prosody()


def test_declarations_and_namespaces() -> None:
    document = (
        '<?xml version="1.0"?><!-- c --><speak version="1.1" xml:lang="en-US" '
        'xmlns="http://www.w3.org/2001/10/synthesis">a</speak>'
    )
    assert len(read(document, JOANNA, "standard").parts) == 1


@pytest.mark.parametrize(
    "document",
    [
        "",
        "a",
        "<speak>",
        "<speak>a</s>",
        "<speak>a & b</speak>",
        "<p>a</p>",
        "<speak><speak>a</speak></speak>",
        "<speak>a</speak><speak>b</speak>",
        "<speak>\ud800</speak>",
        "<speak>\0</speak>",
        "<speak color='red'>a</speak>",
        "<speak><voice name='x'>a</voice></speak>",
        "<speak><audio src='x'/></speak>",
        '<!DOCTYPE speak [<!ENTITY a "aaaa">]><speak>&a;</speak>',
        "<speak><prosody>a</prosody></speak>",
        "<speak><prosody rate='19%'>a</prosody></speak>",
        "<speak><prosody rate='201%'>a</prosody></speak>",
        "<speak><prosody rate='-50%'>a</prosody></speak>",
        "<speak><prosody volume='6dB'>a</prosody></speak>",
        "<speak><prosody volume='50%'>a</prosody></speak>",
        "<speak><prosody pitch='shrill'>a</prosody></speak>",
        "<speak><prosody amazon:max-duration='soon'>a</prosody></speak>",
        "<speak><emphasis level='huge'>a</emphasis></speak>",
        "<speak><break time='11s'/></speak>",
        "<speak><break time='1'/></speak>",
        "<speak><break strength='loud'/></speak>",
        "<speak><mark/></speak>",
        "<speak><sub>a</sub></speak>",
        "<speak><say-as>a</say-as></speak>",
        "<speak><say-as interpret-as='poem'>a</say-as></speak>",
        "<speak><say-as interpret-as='digits' format='mdy'>1</say-as></speak>",
        "<speak><say-as interpret-as='date' format='x'>1</say-as></speak>",
        "<speak><lang xml:lang='gl-ES'>a</lang></speak>",
        "<speak><lang>a</lang></speak>",
        "<speak><phoneme alphabet='runes' ph='a'>a</phoneme></speak>",
        "<speak><phoneme ph='a'>a</phoneme></speak>",
        "<speak><w role='noun'>a</w></speak>",
        "<speak><p x='1'>a</p></speak>",
        "<speak><amazon:effect name='echo'>a</amazon:effect></speak>",
        "<speak><amazon:effect>a</amazon:effect></speak>",
        "<speak><amazon:effect vocal-tract-length='long'>a</amazon:effect></speak>",
        "<speak><amazon:breath volume='huge'/></speak>",
        "<speak><amazon:domain name='news'>a</amazon:domain></speak>",
        "<speak><amazon:domain name='opera'>a</amazon:domain></speak>",
    ],
)
def test_refused(document: str) -> None:
    with pytest.raises(InvalidSsml):
        read(document, JOANNA, "standard")


@pytest.mark.parametrize(
    "body",
    [
        "<emphasis>a</emphasis>",
        "<prosody pitch='low'>a</prosody>",
        "<prosody amazon:max-duration='2s'>a</prosody>",
        "<amazon:effect name='whispered'>a</amazon:effect>",
        "<amazon:effect phonation='soft'>a</amazon:effect>",
        "<amazon:effect vocal-tract-length='+5%'>a</amazon:effect>",
        "<amazon:auto-breaths>a</amazon:auto-breaths>",
        "<amazon:breath/>",
    ],
)
def test_refused_by_neural_voices(body: str) -> None:
    assert parts(body) is not None
    with pytest.raises(InvalidSsml, match="Unsupported Neural feature"):
        parts(body, "neural")


def test_taken_by_neural_voices() -> None:
    body = "<prosody rate='90%' volume='-3dB'><amazon:effect name='drc'>a</amazon:effect></prosody>"
    assert prosody(body, "neural") == Prosody(rate=0.9, gain_db=-3.0)
    assert prosody("<amazon:domain name='news'>a</amazon:domain>", "neural") == Prosody()
    with pytest.raises(InvalidSsml, match="does not support"):
        read("<speak><amazon:domain name='news'>a</amazon:domain></speak>", ARLET, "neural")


def test_messages_hold_nothing_of_the_text() -> None:
    for document in ("<speak>secret", "<speak><secret/></speak>", "<speak><prosody rate='secret'>a</prosody></speak>"):
        with pytest.raises(InvalidSsml) as caught:
            read(document, JOANNA, "standard")
        assert "secret" not in str(caught.value)
