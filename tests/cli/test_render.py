import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from retrieval.cli.output import amounts
from retrieval.cli.output.hits import hits as rendered
from retrieval.cli.output.json_output import print_json
from retrieval.cli.output.style import Style
from retrieval.service.json_shape import hits_as_dicts
from retrieval.types import NO_PLACE, Context, Hit, Passage, Place, TokenMatch

PLAIN = Style(colours=False, width=60)


def hit(**changes: object) -> Hit:
    plain = Hit(
        document_id="docs/locks.md",
        passage=Passage("docs/locks.md", 1, 40, 90),
        text="A writer takes the lock.\n\nReaders never do.",
        title="Locks",
        path="docs/locks.md",
        start_line=12,
        end_line=14,
        score=1.5,
        relevance=0.8749,
        scores={"lexical": 4.5, "dense": 0.6},
        ranks={"lexical": 1, "dense": 3},
        highlights=((19, 23),),
        metadata={"path": "docs/locks.md"},
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_a_hit_is_a_line_of_facts_and_its_snippet(tmp_path: Path) -> None:
    assert rendered([hit()], tmp_path / ".retrieval", PLAIN) == (
        "1  docs/locks.md:12  0.87  Locks  (dense 3, lexical 1)\n"
        "    A writer takes the lock.\n"
        "    Readers never do.\n"
    )


def match(query: str, passage: str, at: int, score: float) -> TokenMatch:
    return TokenMatch(query, (0, len(query)), passage, (at, at + len(passage)), score)


SPECIAL = TokenMatch("", (0, 0), "lock", (19, 23), 0.5)
UNKNOWN = TokenMatch("", None, "", None, -0.25)


def test_matches_stand_below_the_snippet(tmp_path: Path) -> None:
    matches = [
        SPECIAL,
        match("write", "writer", 2, 0.913),
        match("lock\x1b", "lock", 19, 1),
        UNKNOWN,
    ]
    assert rendered([hit()], tmp_path, PLAIN, [matches]).splitlines()[3:] == [
        "    (special) -> lock     0.50   lock\ufffd     -> lock     1.00",
        "    write     -> writer   0.91   ?         -> ?       -0.25",
    ]
    narrow = rendered([hit()], tmp_path, Style(colours=False, width=40), [matches])
    assert len(narrow.splitlines()) == 3 + 4
    assert rendered([hit()], tmp_path, PLAIN, [()]) == rendered([hit()], tmp_path, PLAIN)


def test_matched_tokens_are_marked_instead_of_words(tmp_path: Path) -> None:
    matches = [SPECIAL, match("write", "wri", 2, 1.0), match("r", "ter", 5, 1.0)]
    shown = rendered([hit()], tmp_path, Style(colours=True, width=60), [matches])
    assert "A \x1b[1;33mwriter\x1b[0m takes the lock." in shown


def test_a_long_token_is_cut(tmp_path: Path) -> None:
    shown = rendered([hit()], tmp_path, PLAIN, [[match("x" * 90, "lock", 19, 1.0)]])
    assert "xxx… -> lock  1.00\n" in shown


def test_colours_mark_the_words_that_match(tmp_path: Path) -> None:
    shown = rendered([hit()], tmp_path, Style(colours=True, width=60))
    assert "takes the \x1b[1;33mlock\x1b[0m." in shown
    assert "\x1b[36mdocs/locks.md:12\x1b[0m" in shown


def test_paths_are_shown_relative_to_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "locks.md").write_text("x")
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    shown = rendered([hit()], tmp_path / ".retrieval", PLAIN)
    assert shown.startswith("1  ../docs/locks.md:12  ")


def test_a_document_without_a_file_is_shown_by_its_id(tmp_path: Path) -> None:
    shown = rendered([hit(path=None, title="", document_id="note 7")], tmp_path, PLAIN)
    assert shown.startswith("1  note 7:12  0.87  (dense 3, lexical 1)\n")


def test_a_record_of_a_jsonl_file_is_shown_by_its_line_there(tmp_path: Path) -> None:
    record = hit(path="a.jsonl", metadata={"path": "a.jsonl", "line": 812}, start_line=1)
    assert rendered([record], tmp_path, PLAIN).startswith("1  a.jsonl:812  ")


def test_titles_and_paths_cannot_steer_the_terminal(tmp_path: Path) -> None:
    nasty = hit(title="a\x1b[2Jb", path="x\x1b]0;y\x07.md")
    shown = rendered([nasty], tmp_path, PLAIN)
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_the_line_is_that_of_what_matches(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(30))
    at = text.index("line 20")
    shown = rendered([hit(text=text, highlights=((at, at + 7),))], tmp_path, PLAIN)
    assert shown.splitlines()[:2] == [
        f"1  docs/locks.md:{12 + 20}  0.87  Locks  (dense 3, lexical 1)",
        "    line 19",
    ]


def test_ranks_line_up(tmp_path: Path) -> None:
    shown = rendered([hit()] * 10, tmp_path, PLAIN).splitlines()
    assert shown[0].startswith(" 1  docs")
    assert shown[-3].startswith("10  docs")


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (9_960, "10 kB"),
     (999_499, "999 kB"), (999_600, "1.0 MB"), (3_400_000_000, "3.4 GB"), (10**16, "10000 TB")],
)  # fmt: skip
def test_size(number: int, shown: str) -> None:
    assert amounts.size(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (3.21, "3.2 s"), (9.97, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s"),
     (200, "3 min 20 s"), (7500, "2 h 5 min")],
)  # fmt: skip
def test_duration(seconds: float, shown: str) -> None:
    assert amounts.duration(seconds) == shown


def test_a_long_listing_is_cut_and_says_so() -> None:
    text = amounts.listing("problems", [f"p{number}" for number in range(25)], most=3)
    assert text == "problems\n  p0\n  p1\n  p2\n  and 22 more; --json lists all\n"


def test_json_holds_every_field_of_a_hit(capsys: pytest.CaptureFixture[str]) -> None:
    found = hit(score=np.float32(0.5), metadata={"n": float("nan"), "é": [Path("a")]})
    print_json(hits_as_dicts([found]))
    (read,) = json.loads(capsys.readouterr().out)
    properties = {"heading", "symbol", "place"}
    assert set(read) == {field.name for field in dataclasses.fields(Hit)} | properties
    span = {"document_id": "docs/locks.md", "ordinal": 1, "start": 40, "end": 90}
    assert {name: read["passage"][name] for name in span} == span
    assert read["highlights"] == [[19, 23]]
    assert read["score"] == 0.5
    assert read["metadata"] == {"n": None, "é": ["a"]}


def test_other_passages_of_a_document_stand_below_its_best(tmp_path: Path) -> None:
    others = tuple(
        hit(text=f"Lock number {n} is taken.", start_line=20 + n, relevance=0.5, highlights=())
        for n in range(5)
    )
    shown = rendered([hit(others=others)], tmp_path / ".retrieval", PLAIN).splitlines()
    assert shown[3:] == [
        "    docs/locks.md:20  0.50  Lock number 0 is taken.",
        "    docs/locks.md:21  0.50  Lock number 1 is taken.",
        "    docs/locks.md:22  0.50  Lock number 2 is taken.",
        "    and 2 more passages",
    ]
    assert all(len(line) <= PLAIN.width for line in shown)


def test_of_another_passage_the_line_that_matches_best_is_shown(tmp_path: Path) -> None:
    text = "Nothing.\n\nNothing more.\n\nA lock.\n\nThe end."
    at = text.index("lock")
    other = hit(text=text, start_line=30, highlights=((at, at + 4),))
    last = rendered([hit(others=(other,))], tmp_path / ".retrieval", PLAIN).splitlines()[-1]
    assert last == "    docs/locks.md:34  0.87  A lock."


def test_passages_of_far_less_relevance_are_only_counted(tmp_path: Path) -> None:
    def below(*relevances: float) -> list[str]:
        others = tuple(hit(relevance=one, highlights=()) for one in relevances)
        return rendered([hit(others=others)], tmp_path / ".retrieval", PLAIN).splitlines()[3:]

    assert below(0.5, 0.08, 0.01)[1:] == ["    and 2 more passages"]
    assert below(0.08) == ["    and 1 other passage"]


def test_copies_are_counted_and_some_are_named(tmp_path: Path) -> None:
    def copies(*ids: str) -> tuple[Passage, ...]:
        return tuple(Passage(id, 0, 0, 9) for id in ids)

    one = rendered([hit(copies=copies("a/LICENSE"), copy_count=1)], tmp_path, PLAIN)
    assert one.splitlines()[-1] == "    the same text in 1 other place: a/LICENSE"
    many = hit(copies=copies("a", "b", "b", "c", "d\x1b"), copy_count=1200)
    shown = rendered([many], tmp_path, PLAIN)
    assert shown.splitlines()[-1] == "    the same text in 1,200 other places: a, b, c, ..."


def test_json_has_every_field_of_other_passages_too() -> None:
    (shaped,) = hits_as_dicts([hit(others=(hit(title="Other"),))])
    (other,) = shaped["others"]
    assert other["title"] == "Other"
    assert other.keys() == shaped.keys()


def context_of(**changes: object) -> dict[str, object]:
    """What changes a hit's passage, for `hit`."""
    context = Context(**{k: v for k, v in changes.items() if k != "place"})  # type: ignore[arg-type]
    place = changes.get("place", NO_PLACE)
    return {"passage": Passage("docs/locks.md", 1, 40, 90, context, place)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "about"),
    [
        (context_of(headings=("Locks", "Who waits")), "Locks > Who waits"),
        (context_of(headings=("Who waits",)), "Locks > Who waits"),
        (context_of(headings=("Locks", "Of " * 9, "Who waits")), "… > Who waits"),
        (
            context_of(headings=("a very long heading that is " * 3,)),
            "… > a very long heading that …",
        ),
        (context_of(symbol="Writer.take"), "Writer.take, lines 12-14"),
        (context_of(symbol="N") | {"end_line": 12}, "N, line 12"),
        (context_of(place=Place(page=3)), "page 3  Locks"),
        (context_of(place=Place(row=7, part="Sheet\x1b")), "Sheet\ufffd, row 7  Locks"),
        (context_of(place=Place(part="Tolls"), headings=("Tolls", "May")), "Tolls  Locks > May"),
        (context_of(place=Place(part="Locks"), headings=("Locks",)), "Locks"),
        (context_of(place=Place(cell=2), headings=("Locks",)), "cell 2  Locks"),
    ],
)
def test_the_first_line_says_where_in_its_document_a_hit_stands(
    tmp_path: Path, changes: dict[str, object], about: str
) -> None:
    shown = rendered([hit(**changes)], tmp_path / ".retrieval", PLAIN)
    assert shown.splitlines()[0] == f"1  docs/locks.md:12  0.87  {about}  (dense 3, lexical 1)"


def test_lines_of_code_and_of_tables_are_never_joined(tmp_path: Path) -> None:
    text = "first of the lines, which is long enough to be wrapped\nsecond of them"
    joined = rendered([hit(text=text, highlights=())], tmp_path, Style(colours=False, width=90))
    assert len(joined.splitlines()) == 2
    in_prose = context_of(languages=("python",))
    for changes in ({"metadata": {"format": "csv"}}, {"metadata": {"format": "code"}}, in_prose):
        shown = rendered(
            [hit(text=text, highlights=(), **changes)], tmp_path, Style(colours=False, width=90)
        )
        assert shown.splitlines()[1:] == [f"    {line}" for line in text.splitlines()]


def test_another_passage_of_a_definition_is_shown_by_its_name(tmp_path: Path) -> None:
    other = hit(**context_of(symbol="Writer.give"), start_line=30, highlights=())
    shown = rendered([hit(others=(other,))], tmp_path / ".retrieval", PLAIN)
    last = shown.splitlines()[-1]
    assert last == "    docs/locks.md:30  0.87  Writer.give  A writer takes the …"
