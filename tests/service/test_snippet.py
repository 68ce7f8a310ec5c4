import random

from hypothesis import given
from hypothesis import strategies as st

from retrieval.service.printable import columns, safe
from retrieval.service.snippet import LINES, Span, snippet


def words_in(text: str, *words: str) -> list[Span]:
    spans = [
        (at, at + len(word))
        for word in words
        for at in range(len(text))
        if text.startswith(word, at)
    ]
    return sorted(spans)


def shown(text: str, highlights: list[Span], width: int = 80, *, prose: bool = True) -> list[str]:
    return [
        "".join(f"[{piece.text}]" if piece.marked else piece.text for piece in row)
        for row in snippet(text, highlights, width, prose=prose).rows
    ]


def test_the_rows_with_most_different_words_are_shown() -> None:
    text = "\n".join(
        ["lock lock lock", "nothing", "nothing", "nothing", "the lock of a writer", "end"]
    )
    rows = shown(text, words_in(text, "lock", "writer"))
    assert "the [lock] of a [writer]" in rows
    assert len(rows) == LINES


def test_a_single_match_stands_in_the_middle() -> None:
    text = "\n".join(f"line {number}" for number in range(20))
    assert shown(text, words_in(text, "line 9")) == ["line 8", "[line 9]", "line 10"]


def test_without_a_match_the_first_rows_are_shown() -> None:
    assert shown("one\n\n\ntwo\nthree\nfour", []) == ["one", "two", "three"]


def test_marks_around_code_take_no_row() -> None:
    text = "Call it:\n\n```python\nopen()\n```\n\n~~~\nclose()\n~~~"
    assert shown(text, [], prose=False) == ["Call it:", "open()", "close()"]
    assert shown("``` is a mark", []) == ["``` is a mark"]


def test_common_indentation_goes_and_the_rest_stays() -> None:
    code = "def f():\n        if x:\n            return 1\n        return 2"
    assert shown(code, words_in(code, "return 1")) == ["if x:", "    [return 1]", "return 2"]


def test_what_a_first_line_opens_stands_further_in() -> None:
    method = "def take(self):\n        self.lock()\n        return 1"
    assert shown(method, [], prose=False) == ["def take(self):", "    self.lock()", "    return 1"]
    attempt = "try:\n            take()\n        except OSError:\n            return"
    assert shown(attempt, [], prose=False) == ["try:", "    take()", "except OSError:"]
    decorated = "@cached\n    def take(self):\n        return 1"
    assert shown(decorated, [], prose=False) == ["@cached", "def take(self):", "    return 1"]
    go = "func (l *Lock) Take() {\n\tif l.held {\n\t\treturn\n"
    assert shown(go, [], prose=False) == [
        "func (l *Lock) Take() {",
        "    if l.held {",
        "        return",
    ]


def test_indentation_that_is_not_shown_takes_no_room() -> None:
    long = "return " + " + ".join(["abcdef"] * 8)
    code = f"if x:\n            y = 1\n            {long}\n            # done"
    rows = shown(code, words_in(code, "# done"), len(long) + 6, prose=False)
    assert rows == ["y = 1", long, "[# done]"]
    first = shown(code, [], len(long) + 6, prose=False)
    assert first == ["if x:", "    y = 1", f"    {long}"]


def test_a_long_line_is_broken_at_spaces_and_says_that_it_goes_on() -> None:
    text = " ".join(f"w{number}" for number in range(200))
    rows = shown(text, words_in(text, "w100"), width=40)
    assert rows[0].startswith("…")
    assert rows[-1].endswith("…")
    assert "[w100]" in rows[1]
    assert all(columns(row.replace("[", "").replace("]", "")) <= 40 for row in rows)


def test_a_match_that_spans_two_rows_is_marked_in_both() -> None:
    text = "a" * 30
    assert shown(text, [(5, 25)], width=22) == ["aaaaa[aaaaaaaaaaaaaaa]", "[aaaaa]aaaaa"]


def test_wide_characters_count_as_two_columns() -> None:
    text = "検索" * 40
    rows = shown(text, [], width=22)
    assert all(columns(row) <= 22 for row in rows)
    assert columns(rows[0]) == 20


def test_escape_sequences_do_not_reach_the_terminal() -> None:
    text = "a \x1b[31mred\x1b[0m \x07bell\r\n\x9b2J \u202ereversed"
    joined = "\n".join(shown(text, words_in(text, "red")))
    assert "[red]" in joined
    assert not set("\x1b\x07\x9b\u202e\r") & set(joined)


def test_a_lone_carriage_return_joins_no_words() -> None:
    assert safe("one\rtwo\r\nthree\nfour\r") == "one two three four "
    text = "first line about locks\rsecond line\rthird line"
    assert shown(text, words_in(text, "second")) == [
        "first line about locks [second] line third line"
    ]


@given(
    st.text(alphabet=st.sampled_from("ab c\n\t\r\x1b検é\u0301"), max_size=300),
    st.randoms(use_true_random=False),
    st.integers(20, 60),
)
def test_rows_fit_and_hold_the_text_of_the_passage(
    text: str, random: random.Random, width: int
) -> None:
    starts = sorted(random.sample(range(len(text) + 1), k=min(6, len(text) + 1)))
    highlights = list(zip(starts[::2], starts[1::2], strict=False))
    rows = snippet(text, highlights, width).rows
    assert len(rows) <= LINES
    plain = " ".join(safe(text).split())
    for row in rows:
        line = "".join(piece.text for piece in row)
        assert columns(line) <= width
        assert " ".join(line.strip("…").split()) in plain


WRAPPED = """\
Prose that was wrapped for its length by its author
goes on here.
- An item of a list stays an item, however long it is,
  unless it is wrapped as well.
1. So does an item that begins with a number."""


def test_lines_of_prose_that_were_wrapped_are_joined() -> None:
    assert shown(WRAPPED, words_in(WRAPPED, "goes", "unless"), width=90) == [
        "Prose that was wrapped for its length by its author [goes] on here.",
        "- An item of a list stays an item, however long it is, [unless] it is wrapped as well.",
        "1. So does an item that begins with a number.",
    ]


def test_lines_of_code_are_not_joined() -> None:
    assert shown(WRAPPED, [], width=90, prose=False) == WRAPPED.split("\n")[:3]


def test_a_snippet_knows_where_it_begins() -> None:
    text = "\n\n".join(f"line {number}" for number in range(9))
    assert snippet(text, words_in(text, "line 5"), 80).start == text.index("line 4")
    assert snippet("", [], 80).start == 0


LOG = """\
2026-11-30 12:00:01 INFO worker 7 took the task from the queue
2026-11-30 12:00:02 INFO worker 7 wrote the result to the disk
2026-11-30 12:00:09 ERROR the volume was refused by its controller
2026-11-30 12:00:10 INFO worker 7 gave the task back to the queue"""


def test_lines_of_a_log_are_not_joined() -> None:
    found = snippet(LOG, words_in(LOG, "refused"), 90)
    assert ["".join(p.text for p in row) for row in found.rows] == LOG.split("\n")[1:]
    assert LOG[found.match :].startswith("2026-11-30 12:00:09 ERROR")


def test_records_of_several_kinds_are_not_joined() -> None:
    for lines in (
        ("Connection of the seventh worker was closed by its peer", "Disk usage passed its limit"),
        ("user alice came in from the office with a new certificate", "user bob came in by night"),
        ("The first sentence stands on the first line of the text.", "So does the second one."),
        ("level=info msg=started at=noon host=one region=somewhere", "level=warn msg=slow at=one"),
        ("A heading or so that is rather short for all of it", "and " + "a line of text " * 9),
        ("A line after which Markdown breaks, as its end says so  ", "and another one."),
    ):
        assert shown("\n".join(lines), [], width=200) == [line.rstrip() for line in lines]


def test_lines_in_fences_and_indented_code_are_not_joined() -> None:
    code = (
        "the first command of a listing that has no language",
        "and the second one, which is a command of its own",
    )
    for before, after, indent in (
        ("Run it:\n\n```\n", "\n```", ""),
        ("~~~ sh\n", "\n~~~", ""),
        ("", "\n```\n\nWhat stands below a fence that was begun above.", ""),
        ("Run it:\n\n", "", "    "),
    ):
        text = before + "\n".join(indent + line for line in code) + after
        rows = shown(text, words_in(text, code[0]), width=90)
        assert [row.strip("[] ") for row in rows if "command" in row] == list(code)


def test_prose_around_a_fence_is_joined() -> None:
    text = "```\nls\n```\n\n" + "\n".join(WRAPPED.split("\n")[:2])
    assert shown(text, [], width=90) == ["ls", " ".join(WRAPPED.split("\n")[:2])]


def test_the_line_that_matches_best_is_known_of_joined_lines_too() -> None:
    text = "A paragraph that was wrapped for its length by an\neditor that its author uses, twice."
    found = snippet(text, words_in(text, "author", "uses", "wrapped"), 90)
    assert len(found.rows) == 1
    assert (found.start, found.match) == (0, text.index("editor"))
    lines = "\n\n".join(f"line {number}" for number in range(9))
    assert snippet(lines, words_in(lines, "line 5"), 80).match == lines.index("line 5")
    assert snippet(lines, [], 80).match == 0
