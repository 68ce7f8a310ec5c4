"""What is deleted by name or by a filter is what matches when it is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from retrieval.index import Index
from retrieval.service import contents
from retrieval.types import Document

from ..index.fake_encoder import FakeEncoder


@pytest.mark.parametrize(("names", "left"), [((), ["a"]), (("a", "b"), ["a", "c"])])
def test_what_changes_meanwhile_is_judged_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Sequence[str], left: list[str]
) -> None:
    usual = Index.delete

    def delete(self: Index, *given: Any, **options: Any) -> int:
        with Index.open(tmp_path / "index", encoder=FakeEncoder()) as other:
            other.add(Document(id, "text", metadata={"old": id == "c"}) for id in "ac")
        return usual(self, *given, **options)

    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        index.add(Document(id, "text", metadata={"old": id != "c"}) for id in "abc")
        monkeypatch.setattr(Index, "delete", delete)
        deleted, unknown = contents.delete(index, names, where="old")
        assert (index.ids(), unknown) == (left, [])
        assert deleted == 3 - len(left)
