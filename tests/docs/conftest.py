import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

import retrieval.encoders
from retrieval.encoders.comparing import Comparing
from retrieval.types import Embeddings
from tests.docs.pages import ROOT
from tests.index.fake_encoder import FakeEncoder

IN_OTHER_PROCESSES = {"sharded-index.md"}


class Embedded(FakeEncoder, Comparing):
    """Offers what the embedded model offers beside `Encoder`."""

    def encode_spans(self, text: str, spans: Sequence[tuple[int, int]]) -> Embeddings:
        return self.encode_documents([text[start:end] for start, end in spans])


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """The current folder of the test: docs/ and README.md of this project, no index yet.

    The embedded model is a fake one, so that pages hold whatever its weights are; but on a page
    whose examples have other processes load it.
    """

    def load(source: str | Path | None = None, *, device: str | None = None) -> FakeEncoder:
        if source is not None:
            return real(source, device=device)  # type: ignore[return-value]
        return embedded

    embedded = Embedded()
    real = retrieval.encoders.load_encoder
    callspec = getattr(request.node, "callspec", None)
    page = callspec.params.get("page") if callspec is not None else None
    if page is None or page.name not in IN_OTHER_PROCESSES:
        monkeypatch.setattr(retrieval.encoders, "load_encoder", load)
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "README.md", folder)
    monkeypatch.chdir(folder)
    return folder
