"""Which words are heard, in any script and any form of writing; and what a hostile text costs."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest

from fleet.alerts import watchwords
from fleet.alerts.rulebook import parse
from fleet.alerts.watchwords import MARKS, SEARCHED, Watchwords, folded
from fleet.errors import BadSettings


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("fire", "FIRE!"),
        ("fire", "“Fire’s everywhere”"),
        ("fire", "help.fire"),
        ("don't", "DON’T shoot"),
        ("shots fired", "Shots\n  fired"),
        ("Straße", "in der STRASSE"),
        ("STRASSE", "Straße"),
        ("MASSE", "maẞe"),
        ("İmdat", "imdat"),
        ("imdat", "İMDAT!"),
        ("yangın", "YANGIN var"),
        ("YANGIN", "yangın"),
        ("ΒΟΉΘΕΙΑ", "βοήθεια"),
        ("λόγος", "ΛΌΓΟΣ"),
        ("आग", "यहाँ आग लगी है"),
        ("बंदूक", "बंदूक!"),
        ("ไฟ", "มีไฟไหม้"),
        ("火", "着火了"),
        ("火事", "ここは火事です"),
        ("تفجير", "تَفْجِير"),
        ("نَار", "نار"),
        ("حرب", "حـــرب"),
        ("حرب", "\ufea3\ufeae\ufe8f"),  # presentation forms
        ("שלום", "שָׁלוֹם"),
        ("élève", "e\u0301le\u0300ve"),
        ("e\u0301le\u0300ve", "élève"),
        ("fire", "ｆｉｒｅ"),
        ("ｆｉｒｅ", "fire"),
        ("ガス", "ｶﾞｽ"),
        ("fire", "fi\u200bre"),
        ("fire", "f\u00adi\u00adr\u00ade"),
        ("ﬁre", "fire"),
        ("#sos", "now #SOS!"),
        ("🔥", "🔥🔥"),
    ],
)
def test_a_word_is_heard(word: str, text: str) -> None:
    assert folded(Watchwords([word]).find(text)) == folded(word)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("fire", "misfire"),
        ("fire", "fires"),
        ("fire", "firé"),
        ("fire", "fire\u0301"),
        ("fire", "ｆｉｒｅｓ"),
        ("gun", "gun_2 begun gun2"),
        ("Straße", "STRASSENBAHN"),
        ("रत", "रता"),
        ("क", "क्ष"),
        ("ไฟ", "ไฟ่"),
        ("نار", "نارا"),
        ("カタ", "カタカナ"),
        ("가", "각"),
        ("shots fired", "shots were fired"),
    ],
)
def test_another_word_is_none(word: str, text: str) -> None:
    assert Watchwords([word]).find(text) == ""


def test_the_word_is_named_as_it_was_heard_else_as_the_rule_has_it() -> None:
    words = Watchwords(["Feuer", "Feuer frei"])
    assert words.find("und: FEUER FREI") == "FEUER FREI"
    assert words.find("feuer, frei") == "feuer"
    assert words.find("Ｆeuer") == "Feuer"


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_normal_forms_are_folded_to_one(form: Literal["NFC", "NFD", "NFKC", "NFKD"]) -> None:
    text = "Ǻ ﬁ ｶﾞ ด้ำ क़ ΐ İ ß 각 ệ"
    assert folded(unicodedata.normalize(form, text)) == folded(text)
    assert folded(folded(text)) == folded(text)


def test_a_text_is_searched_up_to_its_bound() -> None:
    words = Watchwords(["fire"])
    assert words.find("x " * (SEARCHED // 2 - 2) + "fire") == "fire"
    assert words.find("x " * (SEARCHED // 2 - 3) + "fire  x") == "fire"
    assert words.find("x " * (SEARCHED // 2) + "fire") == ""
    assert words.find("x " * (SEARCHED // 2 - 2) + "fireside") == ""  # the bound parts no word


@pytest.mark.parametrize("hostile", ["\ufdfa", "㌖", "\u0301\u0327", "\u0301\u200d\u0327\u200d", "İ", "ΐ", "\ufdf9"])
def test_a_hostile_text_swells_little_and_ends(hostile: str) -> None:
    """Normal forms sort a letter's marks one by one: half a million took minutes."""
    assert len(folded("a" + hostile * (SEARCHED // len(hostile)))) <= 6 * SEARCHED
    assert Watchwords(["fire"]).find(hostile * SEARCHED) == ""


def test_marks_beyond_the_bound_do_not_count() -> None:
    assert folded("a" + "\u0327" * MARKS) == folded("a" + "\u0327" * (MARKS + 5))
    assert folded("a" + "\u0327" * MARKS) != folded("a" + "\u0327" * (MARKS - 1))


@pytest.mark.parametrize("word", [" ", "\u200d", "\u00ad\u200b", "ـ"])
def test_a_word_without_anything_to_hear_is_named(word: str) -> None:
    with pytest.raises(BadSettings, match=r"rules.toml, line 2: watchword.words has .* nothing to hear"):
        parse(f'[watchword]\nwords = ["fire", "{word}"]', "rules.toml")


def test_all_characters_that_unicode_allows_within_a_word_are_known() -> None:
    """After NFKC; a newer Unicode may bring more."""
    assert folded("".join(f"a{mark}" for mark in watchwords._MID_WORD)) == " ".join("a" * len(watchwords._MID_WORD))
