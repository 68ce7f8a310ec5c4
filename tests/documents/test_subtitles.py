"""Subtitles: what is said when, on the lines of the file."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import Source, format_of
from retrieval.errors import DocumentError

from .mutations_for_tests import survives
from .outlines_for_tests import check, parsed, passages_of

SRT = """1
00:00:01,000 --> 00:00:03,500
<i>The north pump</i>
runs by day.

2
00:00:03,500 --> 00:00:05,000 X1:40 X2:600 Y1:20 Y2:50
{\\an8}The south pump - 42

3
01:02:03,004 --> 01:02:05,000
runs at night.
4
01:02:06,000 --> 01:02:07,000
1984
"""

VTT = """WEBVTT - The mill
Kind: captions

STYLE
::cue { color: red }

NOTE no one says this

intro
00:01.000 --> 00:03.000 align:start
<v.loud Ada Lovelace>It runs &amp; runs.</v>

00:03.000 --> 00:05.000
<00:00:03.500><c> It</c><c.yellow> stops.</c>
- No.
"""


def times(made_marks: object) -> list[object]:
    return [(mark.unit, mark.value) for mark in made_marks]  # type: ignore[attr-defined]


def test_subtitles_are_their_words_on_the_lines_of_the_file() -> None:
    made = parsed("a.srt", SRT)
    lines = made.text.split("\n")
    assert [(number, line) for number, line in enumerate(lines, 1) if line] == [
        (3, "The north pump"),
        (4, "runs by day."),
        (8, "The south pump - 42"),
        (12, "runs at night."),
        (15, "1984"),
    ]
    assert times(made.outline.marks) == [
        ("time", "00:00:01"),
        ("time", "00:00:03"),
        ("time", "01:02:03"),
        ("time", "01:02:06"),
    ]
    assert [str(passage.place) for _, passage in passages_of(made, 6)] == [
        "00:00:01",
        "00:00:03",
        "01:02:03",
    ]


def test_captions_of_the_web_say_who_speaks() -> None:
    made = parsed("a.vtt", VTT)
    assert " ".join(made.text.split()) == "Ada Lovelace: It runs & runs. It stops. - No."
    assert made.text.split("\n")[10] == "Ada Lovelace: It runs & runs."
    assert times(made.outline.marks) == [("time", "00:00:01"), ("time", "00:00:03")]


def test_lines_that_roll_up_the_screen_are_said_once() -> None:
    cues = "".join(
        f"00:00:{n:02}.000 --> 00:00:{n + 1:02}.000\nline {n - 1}\nline {n}\n\n"
        for n in range(1, 9)
    )
    made = parsed("a.vtt", f"WEBVTT\n\n{cues}")
    assert re.findall(r"\d", made.text) == [str(n) for n in range(9)]
    again = "00:01.000 --> 00:02.000\nNo.\n\n00:09.000 --> 00:10.000\nNo.\n"
    assert parsed("a.vtt", f"WEBVTT\n\n{again}").text.split() == ["No.", "No."]


def test_what_youtube_offers_is_read() -> None:
    made = parsed("a.sbv", "0:00:01.000,0:00:03.000\nThe pump\n\n0:00:03.000,0:00:05.000\nruns\n")
    assert made.text.split() == ["The", "pump", "runs"]
    assert times(made.outline.marks) == [("time", "00:00:01"), ("time", "00:00:03")]


def test_passages_begin_with_a_sentence_where_they_can() -> None:
    cues = []
    for n in range(40):
        words = f"sentence {n // 2} begins here" if n % 2 == 0 else "and it ends right there."
        start = f"00:{n // 20:02}:{n % 20 * 3:02},000 --> 00:{n // 20:02}:{n % 20 * 3 + 2:02},900"
        cues.append(f"{n + 1}\n{start}\n{words}\n")
    made = parsed("a.srt", "\n".join(cues))
    found = passages_of(made, 60)
    assert len(found) > 3
    assert all(text.startswith("sentence") and text.endswith("there.") for text, _ in found)
    for text, passage in found:
        number = int(text.split()[1]) * 2
        assert passage.place.time == f"00:{number // 20:02}:{number % 20 * 3:02}"


@pytest.mark.parametrize("content", ["", "no subtitles", "1\n00:00:01,000 --> 00:00:02,000\n\n"])
def test_without_words_it_is_one_line(content: str) -> None:
    with pytest.raises(DocumentError, match=r"holds no subtitles; .* was expected"):
        format_of("a.srt").parse(content.encode(), Source("a.srt"))


LINES = st.lists(
    st.sampled_from(
        [
            *("1", "", "a b.", "<i>c</i>", "WEBVTT", "NOTE x", "&amp;", "٣", "\r", "<v A>d"),
            *("00:00:01,000 --> 00:00:02,000", "00:01.0 --> 00:00.9", "00:99:99,999 --> 99:00:00"),
        ]
    ),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(LINES, st.sampled_from(["a.srt", "a.vtt"]))
def test_every_line_stays_where_it_is(lines: list[str], name: str) -> None:
    source = "00:00:01,000 --> 00:00:02,000\nfirst\n" + "\n".join(lines)
    if name == "a.vtt":
        source = f"WEBVTT\n\n{source}"
    made = parsed(name, source)
    check(made.text, made.outline)
    before, after = re.split(r"\r\n?|\n", source), made.text.split("\n")
    assert len(before) - len(after) in (0, 1)
    for was, now in zip(before, after, strict=False):
        plain = was.replace("&amp;", "&").replace("<v A>", "A: ")
        assert now in ("", re.sub("<[^>]*>", "", plain).strip())


def test_damaged_subtitles_are_read_or_refused() -> None:
    words = [b"-->", b"\n\n", b"00:00:01,000 --> 9", b"<v ", b"{\\", b"WEBVTT\n", b"<", b"\xff"]
    assert survives("a.vtt", [VTT.encode(), SRT.encode()], words) > 150
    assert survives("a.srt", [VTT.encode(), SRT.encode()], words) > 150
