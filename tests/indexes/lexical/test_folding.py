"""Folding: spellings of one word found by each other, other words kept apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.indexes import highlight, write_lexical
from retrieval.indexes.lexical import LexicalIndex
from retrieval.indexes.lexical.folding import fold, fold_aligned

SAME = [
    # what cannot be seen
    ("Rechts\u00adschutz\u00adversicherung", "Rechtsschutzversicherung"),
    ("break\u200bpoint", "breakpoint"),
    ("\ufeffheader", "header"),
    ("left\u200eto\u200fright", "lefttoright"),
    ("sign\u2060post", "signpost"),
    ("heart\ufe0fbeat", "heartbeat"),
    # compatibility forms
    ("\ufb02uorescent e\ufb03cient", "fluorescent efficient"),
    ("\uff34\uff4f\uff4b\uff59\uff4f", "tokyo"),
    ("\U0001d413\U0001d421\U0001d41e\U0001d428\U0001d42b\U0001d41e\U0001d426", "theorem"),
    ("CO\u2082", "co2"),
    ("\u24b6\u24b7\u24b8", "abc"),
    # case, and forms by position
    ("GROẞBUCHSTABE", "großbuchstabe"),
    ("Fußgängerübergang", "FUSSGANGERUBERGANG"),
    ("DİYARBAKIR", "diyarbakir"),
    ("ığdır", "IGDIR"),
    ("ΚΥΡΙΟΣ", "κύριος"),
    ("שלום", "שלומ"),
    # accents
    ("crème brûlée", "creme brulee"),
    ("cre\u0300me", "crème"),
    ("Łódź żółć", "lodz zolc"),
    ("Đà Nẵng", "da nang"),
    ("smørrebrød", "smorrebrod"),
    ("ᾠδή", "ωδη"),
    ("за\u0301мок", "замок"),
    ("Ёжик", "ежик"),
    # vowel points, stretching, spellings of a letter
    ("סֵפֶר", "ספר"),
    ("مَدْرَسَةٌ", "مدرسه"),
    ("مـــدرسة", "مدرسة"),
    ("أحمد إبراهيم آمال", "احمد ابراهيم امال"),
    ("مستشفى", "مستشفي"),
    ("کتابی", "كتابي"),
    ("می\u200cروم", "میروم"),
    ("कम्प्यूटर हिन्दी", "कंप्यूटर हिंदी"),
    ("चाँद", "चांद"),
    ("फ़िल्म", "फिल्म"),
    ("ക്ഷ\u200dത്രിയൻ", "ക്ഷത്രിയന്\u200d"),
    ("e\u0301te\u0301", "été"),
    # digits, kana, Hangul
    ("٢٠٢٦", "2026"),
    ("१२३", "123"),
    ("ﾃﾞｰﾀﾍﾞｰｽ", "データベース"),
    ("は\u3099", "ば"),
    ("\u1112\u1161\u11ab\u1100\u1173\u11af", "한글"),
]

OTHER = [
    ("мой", "мои"),  # short i is another letter
    ("її", "іі"),
    ("кит", "кыт"),
    ("が", "か"),
    ("की", "कि"),
    ("कम", "काम"),
    ("ড়", "ড"),
    ("ใกล้", "ไกล"),
    ("பல்", "பால்"),
    ("سؤال", "سوال"),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_spellings_of_a_word_find_each_other(tmp_path: Path, one: str, two: str) -> None:
    for place, text in enumerate((one, two)):
        folder = tmp_path / str(place)
        write_lexical(folder, add=[(0, {"text": f"some {text} there"}), (1, {"text": "else"})])
        index = LexicalIndex.open(folder)
        for query in (one, two, one.lower(), two.upper()):
            assert index.search(query, 2)[0].tolist() == [0]


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_other_words_stay_apart(one: str, two: str) -> None:
    assert fold(one).lower() != fold(two).lower()


@pytest.mark.parametrize(("one", "two"), SAME)
def test_highlights_are_spans_of_the_text_as_it_is(one: str, two: str) -> None:
    for query, word in ((one, two), (two, one)):
        text = f"«{word}» – x"
        marked = "".join(text[slice(*span)] for span in highlight(query, text))
        shown = word.strip("\ufeff\u200d").split()
        assert marked == "".join(shown)


def test_signs_and_fractions_are_not_parts_of_a_word() -> None:
    assert fold("Aspirin™ №7 3½").split() == ["Aspirin", "7", "3", "1", "2"]


def test_a_persian_word_is_found_by_its_parts() -> None:
    assert fold("کتاب\u200cها") == fold("کتاب_ها")


odd = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "e\u0301\u0300и\u0306\u200c\u200d\u00adمی\u0654नम\u094dक\u093cｶﾞ\u1100\u1161\u11a8ㄱㅏㄳ"
            "¼™_a1ัำ\u3099か\u0338<Ὦ"
        ),
    )
)


@settings(deadline=None, max_examples=300)
@given(odd)
def test_every_character_of_the_result_stands_for_a_span(text: str) -> None:
    folded, spans = fold_aligned(text)
    assert folded == fold(text)
    assert len(spans) == len(folded) and spans == sorted(spans)
    assert all(0 <= start < end <= len(text) for start, end in spans)
