"""`index:PLACE`: an index that is there is measured as it is, in a folder or in shards."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("obstore")

from retrieval.errors import InputError
from retrieval.eval import make_systems
from retrieval.eval.datasets.collection import assemble
from retrieval.index import Index
from retrieval.sharded import ShardedIndex
from retrieval.types import Document
from tests.index.fake_encoder import FakeEncoder

DOCUMENTS = [Document(f"d{n}", f"w{n} w{n % 3} shared") for n in range(9)]


def test_an_index_and_its_shards_are_measured_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    url = f"file://{tmp_path}/storage/many"
    with (
        Index.create(tmp_path / "one", encoder=FakeEncoder()) as one,
        ShardedIndex.create(url, shards=2, encoder=FakeEncoder()) as sharded,
    ):
        one.add(DOCUMENTS)
        sharded.add(DOCUMENTS)
    queries = [("q1", "w4 shared"), ("q2", "w7")]
    collection = assemble(
        "small", "test", lambda: iter(DOCUMENTS), queries, [("q1", "d4", 1), ("q2", "d7", 1)]
    )
    systems = make_systems(["lexical"], [f"index:{tmp_path}/one", f"index:shards={url}"])[1:]
    assert [system.name for system in systems] == ["one:lexical", "shards:lexical"]
    found = []
    for system in systems:
        assert system.index(collection, tmp_path / "kept", None).index_bytes
        found.append(system.search(collection.queries, 5))
        assert "generation" in system.settings().description
        assert str(tmp_path) in system.identity()
    assert [*found[0]] == [*found[1]] == ["q1", "q2"]
    for query, ranked in found[0].items():
        assert ranked == pytest.approx(found[1][query], rel=1e-4)
    other = assemble(
        "other", "test", lambda: iter([Document("x", "w4")]), queries, [("q1", "x", 1)]
    )
    with pytest.raises(InputError, match="holds none of the first documents of other"):
        systems[1].index(other, tmp_path / "kept", None)
