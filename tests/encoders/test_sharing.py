"""One instance of an encoder a process, also across pickling; what is no list of texts."""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.encoders import Precomputed, load_encoder, source_of
from retrieval.encoders.runtimes.cpu import CpuEncoder
from retrieval.errors import EncoderError, EncoderMismatch, InputError
from retrieval.index import Index
from retrieval.types import Document
from tests.cli.test_models import write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def change(model: Path) -> None:
    """Put another model in its place."""
    shutil.rmtree(model)
    write_model(model, heads=("dense",))


def test_handles_of_one_model_share_it(tmp_path: Path, model: Path) -> None:
    with (
        Index.create(tmp_path / "a", encoder=str(model), passage_tokens=32) as a,
        Index.create(tmp_path / "b", encoder=str(model), passage_tokens=32) as b,
    ):
        assert a.encoder is b.encoder is load_encoder(str(model))
    with ThreadPoolExecutor(8) as pool:
        assert len({id(one) for one in pool.map(lambda _: load_encoder(model), range(16))}) == 1


def test_a_copy_of_the_files_is_the_same_encoder(tmp_path: Path, model: Path) -> None:
    first = load_encoder(model)
    shutil.copytree(model, tmp_path / "copy")
    assert load_encoder(tmp_path / "copy") is first


def test_other_files_are_another_encoder(model: Path) -> None:
    first = load_encoder(model)
    change(model)
    second = load_encoder(model)
    assert second is not first and second.fingerprint != first.fingerprint


def test_a_torch_encoder_goes_with_its_last_user(model: Path) -> None:
    pytest.importorskip("torch")
    encoder = load_encoder(model, device="cpu")
    assert load_encoder(model, device="cpu") is encoder is not load_encoder(model)
    gone = weakref.ref(encoder)
    del encoder
    gc.collect()
    assert gone() is None


def test_a_pickled_encoder_is_the_shared_one_here(model: Path) -> None:
    encoder = load_encoder(model)
    assert pickle.loads(pickle.dumps(encoder)) is encoder


def test_a_pickled_encoder_is_loaded_elsewhere(tmp_path: Path, model: Path) -> None:
    encoder = load_encoder(model)
    (tmp_path / "encoder").write_bytes(pickle.dumps(encoder))
    script = (
        "import pickle, sys, pathlib\n"
        f"encoder = pickle.loads(pathlib.Path({str(tmp_path / 'encoder')!r}).read_bytes())\n"
        "sys.stdout.buffer.write(encoder.encode_queries(['one two']).dense.tobytes())\n"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    dense = encoder.encode_queries(["one two"]).dense
    assert dense is not None and (np.frombuffer(out, np.float32) == dense[0]).all()


def test_a_pickled_encoder_is_never_another_one(model: Path) -> None:
    kept = pickle.dumps(load_encoder(model))
    change(model)
    with pytest.raises(EncoderMismatch, match="use the same files"):
        pickle.loads(kept)
    with pytest.raises(EncoderError, match="get it by load_encoder"):
        pickle.dumps(CpuEncoder(model))


def test_an_index_remembers_where_an_object_came_from(tmp_path: Path, model: Path) -> None:
    with Index.create(tmp_path / "a", encoder=str(model), passage_tokens=32) as a:
        Index.create(tmp_path / "b", encoder=a.encoder, passage_tokens=32).close()
    with Index.open(tmp_path / "b") as b:
        b.add([Document("one", "one two")])
        assert b.search("one")
    assert source_of(object()) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("bare", "one text, 'bare', was given; give a list of texts"),
        ("x" * 90, "x\\.\\.\\.', was given"),
        (None, "None was given; give a list of texts"),
        (3, "3 was given; give a list of texts"),
        (["a", None], "text 1 is NoneType, not str"),
        ([b"a"], "text 0 is bytes, not str"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(
    model: Path, device: str | None, texts: Any, message: str
) -> None:
    encoder = load_encoder(model, device=device)
    for encode in (encoder.encode_documents, encoder.encode_queries):
        with pytest.raises(InputError, match=message):
            encode(texts)
    with pytest.raises(InputError, match="is not an encoder; give a folder"):
        load_encoder(encoder)  # type: ignore[arg-type]
    assert len(encoder.encode_queries(text for text in ["a", "b"])) == 2  # type: ignore[arg-type]


def test_reprs_are_short(model: Path) -> None:
    assert repr(load_encoder(model)).startswith("CpuEncoder(")
    assert len(repr(load_encoder(model))) < 80
    assert eval(repr(Precomputed(3, None, "a")), {"Precomputed": Precomputed}).dense_dim == 3


def test_a_torch_encoder_is_gone_with_its_last_user(model: Path) -> None:
    encoder = load_encoder(model, device="cpu")
    encoder.encode_queries(["a query"])
    left = weakref.ref(encoder)
    gc.disable()  # its memory, on a GPU too, is not to wait for a collection
    try:
        del encoder
        assert left() is None
    finally:
        gc.enable()


FORKED = """
import os, sys
from retrieval import Document, Index
from retrieval.encoders import load_encoder, source_of

texts = ["a lock", "a reader", "a writer"] * 20
encoder = load_encoder(sys.argv[1])
before = encoder.encode_documents(texts)
child = os.fork()
if child == 0:
    after = encoder.encode_documents(texts)
    same = (after.dense == before.dense).all() and source_of(encoder) is not None
    text = "Locks wait for readers. " * 40
    with Index.create(sys.argv[2], encoder=encoder, passage_tokens=16, long_context=True) as index:
        index.add([Document("a", text), Document("b", text)])
        same = same and len(index.search("locks")) > 0
    os._exit(0 if same else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_an_encoder_works_on_in_a_forked_process(tmp_path: Path, model: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", FORKED, str(model), str(tmp_path / "i")], check=True, timeout=60
    )
