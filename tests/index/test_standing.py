"""What a file is there for and what it defines count in hybrid search, as a share of the scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from retrieval import Document, Hybrid, Index
from retrieval.errors import InputError
from retrieval.index.reading.standing import ROLE_COSTS, costs_of, in_tests, names_in

from .fake_encoder import FakeEncoder
from .samples import ids

PLAIN = Hybrid(roles=0, definitions=0)
WORDS = Hybrid(dense=0, late=0)
ROLES = ("test", "example", "changelog", "generated", "source", "docs", "config", "")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """The same sentence in files of every role, and others between."""
    index = Index.create(tmp_path_factory.mktemp("project") / "index", encoder=FakeEncoder())
    index.add(
        [
            Document(f"{number}", f"the hen has an egg {number}", "", {"role": role})
            for number, role in enumerate(ROLES)
        ]
    )
    index.add([Document(f"z{n}", f"a fox in barn {n}") for n in range(30)])
    return index


def test_what_is_about_the_work_stands_below_it(project: Index) -> None:
    plain = project.search("hen egg", 8, hybrid=replace(WORDS, roles=0))
    assert ids(plain) == [str(number) for number in range(8)]
    assert {hit.score for hit in plain} == {1.0}
    hits = project.search("hen egg", 8, hybrid=WORDS)
    assert ids(hits) == ["4", "5", "6", "7", "1", "2", "3", "0"]
    costs = [plain[0].score - hit.score for hit in hits]
    said = sorted(ROLE_COSTS.get(role, 0.0) for role in ROLES)
    assert costs == pytest.approx([plain[0].score * cost for cost in said])
    for k in range(1, 8):
        assert project.search("hen egg", k, hybrid=WORDS) == hits[:k]


def test_the_costs_are_a_share_of_the_range_whatever_the_fusion(project: Index) -> None:
    for fusion in ("minmax", "zscore", "rrf"):
        hits = project.search("hen egg", 38, hybrid=replace(WORDS, fusion=fusion))  # type: ignore[arg-type]
        assert set(ids(hits)[:8]) == set("01234567")
        assert ids(hits)[:4] == ["4", "5", "6", "7"]


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("the tests of hens", {"test"}),
        ("hen test_egg", set()),
        ("example of an egg", {"example"}),
        ("in which release was the egg added", {"changelog"}),
        ("Changelog", {"changelog"}),
        ("generated eggs, tested", {"generated", "test"}),
        ("the latest egg contest", set()),
    ],
)
def test_who_asks_for_them_gets_them(query: str, asked: set[str]) -> None:
    assert costs_of(query).keys() == ROLE_COSTS.keys() - asked


def test_a_query_that_asks_for_tests_has_them_where_they_are(project: Index) -> None:
    assert ids(project.search("tests: hen egg", 8, hybrid=WORDS))[0] == "0"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("what does get_user do", [["get_user"]]),
        ("getUser", [["getUser"]]),
        ("send", [["send"]]),
        ("who calls send()", [["send"]]),
        ("who calls `send` twice", [["send"]]),
        ("Client.send in httpx", [["Client", "send"]]),
        ("std::fs::read", [["std", "fs", "read"]]),
        ("Array#map and HTTPServer", [["Array", "map"], ["HTTPServer"]]),
        ("_private __init__", [["_private"], ["__init__"]]),
        ("where is a redirect followed. And why", []),
        ("e-mail of Ada Lovelace", []),
    ],
)
def test_names_of_code_in_a_query(query: str, names: list[list[str]]) -> None:
    assert names_in(query) == names


def test_a_definition_stands_above_its_uses(tmp_path: Path) -> None:
    uses = "\n".join(f"load_hens(farm)  # load_hens {n}" for n in range(3))
    python = {"language": "python", "format": "code"}
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        index.add([Document("a.py", f"{uses}\n", "", python)])
        definition = "class Farm:\n    def load_hens(self):\n        return self.barn\n"
        index.add([Document("b.py", definition, "", python)])
        index.add([Document("c.py", "import fox\n", "", python)])
        plain = index.search("load_hens", 2, hybrid=PLAIN)
        assert ids(plain) == ["a.py", "b.py"]
        assert ids(index.search("load_hens", 2)) == ["b.py", "a.py"]
        assert ids(index.search("Farm.load_hens", 2)) == ["b.py", "a.py"]
        assert index.search("Barn.load_hens", 2) == index.search("Barn.load_hens", 2, hybrid=PLAIN)


def test_a_query_that_is_a_name_asks_for_its_definition_above_all(tmp_path: Path) -> None:
    code = {"language": "python", "format": "code"}
    uses = {"a.md": {}, "z.py": code}
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        for id, metadata in uses.items():
            index.add([Document(id, f"{id} sha1 sha1 sha1 egg egg egg", "", metadata)])
        index.add(
            [
                Document(
                    "b.py", f"def sha1(hen):\n    return hen\n{'# fox barn hay ' * 40}\n", "", code
                )
            ]
        )
        index.add(
            [
                Document(
                    "c.py", f"def egg(hen):\n    return hen\n{'# fox barn hay ' * 40}\n", "", code
                )
            ]
        )
        index.add([Document(f"y{n}", f"a fox in barn {n}") for n in range(20)])
        once, plain = Hybrid(dense=0, late=0), Hybrid(dense=0, late=0, definitions=0)

        def gained(query: str, id: str) -> float:
            """What the definition gains, in shares of the range of the scores."""
            score = {hit.document_id: hit.score for hit in index.search(query, hybrid=once)}
            before = {hit.document_id: hit.score for hit in index.search(query, hybrid=plain)}
            return (score[id] - before[id]) / (max(before.values()) - min(before.values()))

        assert gained("sha1", "b.py") == pytest.approx(0.6)
        assert gained("egg", "c.py") == pytest.approx(0.3)  # which may be the word
        assert gained("fox sha1()", "b.py") == pytest.approx(0.3)


def test_a_file_s_own_tests_are_tests(tmp_path: Path) -> None:
    text = (
        "pub fn egg(hen: u8) -> u8 {\n    hen + barn + fox + hay\n}\n\n#[cfg(test)]\nmod tests {\n"
        + "".join(
            f"    #[test]\n    fn egg_{n}() {{\n        egg({n})\n    }}\n\n" for n in range(9)
        )
        + "}\n"
    )
    with Index.create(tmp_path / "index", encoder=FakeEncoder(), passage_tokens=24) as index:
        rust = {"role": "source", "language": "rust", "format": "code"}
        index.add([Document("egg.rs", text, "", rust)])
        first = {
            (query, roles): index.search(query, 1, hybrid=replace(WORDS, roles=roles))[0].start_line
            for query in ("egg", "tests of egg")
            for roles in (0, 6)
        }
    assert first["egg", 6] == 1
    assert first["egg", 0] > 5 and first["tests of egg", 6] > 5


@pytest.mark.parametrize(
    ("symbol", "inside"),
    [
        ("tests", True),
        ("tests.reads", True),
        ("Farm.tests.reads", True),
        ("test.reads", True),
        ("test", False),
        ("Pattern.test", False),
        ("contests.reads", False),
        ("", False),
    ],
)
def test_which_definitions_are_in_tests(symbol: str, inside: bool) -> None:
    assert in_tests(symbol) is inside


@pytest.mark.parametrize("given", [{"roles": -1}, {"definitions": True}, {"roles": "all"}])
def test_what_is_no_factor_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(InputError, match="is not a weight; give a number from 0 on"):
        Hybrid(**given)  # type: ignore[arg-type]


def test_a_role_of_another_kind_is_nothing_to_it(tmp_path: Path) -> None:
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        for number, role in enumerate(["user", 3, None, ["test"], {"test": 1}]):
            index.add([Document(f"{number}", f"hen {number}", "", {"role": role})])
        assert index.search("hen", 5) == index.search("hen", 5, hybrid=PLAIN)
