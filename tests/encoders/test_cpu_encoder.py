"""The CPU runtime as an Encoder: texts in, embeddings out, and what it says of broken folders."""

import json
import os
import random
import subprocess
import sys
import threading

import numpy as np
import pytest

from retrieval.encoders import load_encoder
from retrieval.encoders.embedded import embedded_folder
from retrieval.encoders.model_folder import fingerprint
from retrieval.encoders.runtimes import onnx
from retrieval.encoders.runtimes.cpu import CpuEncoder, usable_cores
from retrieval.errors import CheckpointError, InputError
from retrieval.types import Encoder

from .cpu_models import DENSE_DIM, TOKENS, save
from .random_models import TEXTS, WORDS, wordpiece


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cpu") / "tiny"
    save(path)
    return path


@pytest.fixture(scope="module")
def encoder(folder):
    return CpuEncoder(folder, threads=2)


def random_texts(count, longest, seed=0):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(0, longest))) for _ in range(count)]


def rows(embeddings, i):
    return embeddings.tokens[embeddings.offsets[i] : embeddings.offsets[i + 1]]


def test_it_is_an_encoder(encoder, folder):
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.max_tokens) == ("tiny", 256)
    assert (encoder.dense_dim, encoder.token_dim) == (DENSE_DIM, TOKENS.dim)
    assert encoder.fingerprint == CpuEncoder(folder, threads=1).fingerprint


def test_texts_give_what_transformers_gives(tmp_path):
    reference = save(tmp_path / "m", quantize=False)
    made = CpuEncoder(tmp_path / "m").encode_documents(TEXTS)
    tokenizer = wordpiece()
    for i, text in enumerate(TEXTS):
        ids = np.array(tokenizer(text, truncation=True, max_length=256)["input_ids"], np.int64)
        expected = reference(ids)
        np.testing.assert_allclose(made.dense[i], expected["dense"][0], atol=2e-6)
        np.testing.assert_allclose(rows(made, i), expected["tokens"], atol=2e-6)


def test_vectors_have_unit_length(encoder):
    made = encoder.encode_documents(TEXTS)
    assert made.dense.dtype == made.tokens.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(made.dense, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(made.tokens, axis=1), 1, atol=1e-5)


def test_company_and_order_change_nothing_at_all(encoder):
    texts = random_texts(60, 120) + TEXTS
    together = encoder.encode_documents(texts)
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = encoder.encode_documents([texts[i] for i in order])
    for at, i in enumerate(order):
        np.testing.assert_array_equal(shuffled.dense[at], together.dense[i])
        np.testing.assert_array_equal(rows(shuffled, at), rows(together, i))
    for i in (0, 7, 61, 62):
        alone = encoder.encode_documents([texts[i]])
        np.testing.assert_array_equal(alone.dense[0], together.dense[i])
        np.testing.assert_array_equal(alone.tokens, rows(together, i))


def test_nothing_is_padded(encoder, monkeypatch):
    texts = random_texts(50, 100)
    run = []
    original = encoder._forward
    monkeypatch.setattr(encoder, "_forward", lambda ids: run.append(len(ids)) or original(ids))
    made = encoder.encode_documents(texts)
    assert sorted(run) == sorted(np.diff(made.offsets))


def test_what_was_begun_and_is_cancelled_is_not_run(encoder, monkeypatch):
    run, go = [], threading.Event()
    original = encoder._forward

    def forward(ids):
        assert go.wait(60)
        run.append(len(ids))
        return original(ids)

    monkeypatch.setattr(encoder, "_forward", forward)
    started = encoder.start_documents(["dog " * 37] * 200)
    started.cancel()
    go.set()
    encoder.encode_documents(TEXTS[:2])  # when these are done, so is what was under way
    assert 2 <= len(run) < 100


def test_no_texts_and_empty_texts(encoder):
    none = encoder.encode_documents([])
    assert none.dense.shape == (0, DENSE_DIM)
    assert none.tokens.shape == (0, TOKENS.dim)
    assert none.offsets.tolist() == [0]
    empty = encoder.encode_queries(["", " \n"])
    assert empty.offsets.tolist() == [0, 2, 4]
    assert np.isfinite(empty.dense).all()
    np.testing.assert_array_equal(empty.dense[0], empty.dense[1])


def test_long_texts_are_cut_and_keep_their_last_special_token(encoder):
    long = "the quick brown fox " * 500
    made = encoder.encode_documents([long, long + "dog"])
    assert np.diff(made.offsets).tolist() == [256, 256]
    np.testing.assert_array_equal(made.dense[0], made.dense[1])
    exactly = " ".join(["fox"] * 254)
    fits = encoder.encode_documents([exactly, exactly + " dog"])
    np.testing.assert_array_equal(fits.dense[0], fits.dense[1])
    assert np.diff(encoder.encode_queries([long]).offsets).tolist() == [32]


def test_hostile_strings(encoder):
    texts = ["\0", "\ud800 half a pair", "\u202e\ufeff", "a" * 10_000, "." * 5_000]
    made = encoder.encode_documents(texts)
    assert np.isfinite(made.dense).all()
    assert encoder.token_spans("\ud800 fox")[-1].tolist() == [2, 5]


def test_prefixes_and_skiplist(tmp_path, encoder):
    settings = {"query_prefix": "query: ", "document_prefix": "the ", "token_skiplist": [".", ","]}
    save(tmp_path / "m", settings=settings)
    other = CpuEncoder(tmp_path / "m")
    plain = encoder.encode_documents(["query: a fox.", "the fox, a dog."])
    query = other.encode_queries(["a fox."])
    np.testing.assert_array_equal(query.tokens, rows(plain, 0))
    document = other.encode_documents(["fox, a dog."])
    np.testing.assert_array_equal(document.dense[0], plain.dense[1])
    # [CLS] the fox , a dog . [SEP], without the two marks
    np.testing.assert_array_equal(document.tokens, rows(plain, 1)[[0, 1, 2, 4, 5, 7]])
    assert document.offsets.tolist() == [0, 6]
    assert other.fingerprint != encoder.fingerprint


def test_a_text_of_max_tokens_is_read_whole_beside_a_prompt(tmp_path):
    save(tmp_path / "m", settings={"document_prefix": "the lazy dog "})
    encoder = CpuEncoder(tmp_path / "m")
    assert encoder.max_tokens == 253
    whole = " ".join(["fox"] * (253 - 2))  # and the special tokens
    made = encoder.encode_documents([whole, whole + " fox", whole.removesuffix(" fox")])
    np.testing.assert_array_equal(made.dense[0], made.dense[1])
    assert np.diff(made.offsets).tolist() == [256, 256, 255]


def test_many_threads_share_one_encoder(encoder):
    texts = random_texts(12, 40)
    expected = encoder.encode_queries(texts).dense
    wrong = []

    def ask(i):
        for _ in range(20):
            made = encoder.encode_queries([texts[i]]).dense
            if not np.array_equal(made[0], expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_error_in_a_thread_reaches_the_caller(encoder, monkeypatch):
    def fail(ids):
        raise MemoryError("no more")

    monkeypatch.setattr(encoder, "_forward", fail)
    with pytest.raises(MemoryError, match="no more"):
        encoder.encode_documents(TEXTS)
    with pytest.raises(MemoryError, match="no more"):
        encoder.encode_documents(TEXTS[:1])


def test_cpus_on_which_int8_overflows_get_the_same_vectors(folder, encoder, monkeypatch):
    monkeypatch.setattr(onnx, "int8_overflows", lambda: True)
    careful = CpuEncoder(folder)
    made, expected = careful.encode_documents(TEXTS), encoder.encode_documents(TEXTS)
    np.testing.assert_allclose(made.dense, expected.dense, atol=1e-6)
    np.testing.assert_allclose(made.tokens, expected.tokens, atol=1e-6)


def test_the_fingerprint_follows_every_deciding_file(folder, encoder, tmp_path):
    seen = {encoder.fingerprint}
    for name in ("config.json", "tokenizer.json"):
        copy = tmp_path / name
        copy.mkdir()
        for file in folder.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        assert CpuEncoder(copy).fingerprint == encoder.fingerprint
        (copy / name).write_text((copy / name).read_text() + "\n")
        seen.add(CpuEncoder(copy).fingerprint)
    save(tmp_path / "seed", seed=1)
    seen.add(CpuEncoder(tmp_path / "seed").fingerprint)
    assert len(seen) == 4


@pytest.mark.parametrize("device", [None, "cpu"])
def test_a_graph_that_was_altered_is_refused_whatever_runs_the_model(folder, tmp_path, device):
    copy = copied(folder, tmp_path / "copy")
    graph = bytearray((copy / "model.onnx").read_bytes())
    graph[-1] ^= 1
    (copy / "model.onnx").write_bytes(graph)
    with pytest.raises(CheckpointError, match=r"model\.onnx: (is not the graph|.* cannot load it)"):
        load_encoder(copy, device=device)


def test_the_embedded_models_graph_is_the_one_that_was_released(tmp_path):
    copy = copied(embedded_folder(), tmp_path / "copy")
    assert fingerprint(copy) == load_encoder().fingerprint
    (copy / "model.onnx").write_bytes(b"altered")
    with pytest.raises(CheckpointError, match=r"model\.onnx: is not the graph"):
        fingerprint(copy)


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "model.safetensors", "model.onnx"]
)
@pytest.mark.parametrize("device", [None, "cpu"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder, tmp_path, name, device):
    copy = copied(folder, tmp_path / "copy")
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(CheckpointError):
        load_encoder(copy, device=device)


def test_torch_runs_the_same_folder_under_the_same_fingerprint(folder, encoder):
    assert isinstance(load_encoder(folder), CpuEncoder)
    by_torch = load_encoder(folder, device="cpu")
    assert not isinstance(by_torch, CpuEncoder)
    assert (by_torch.name, by_torch.fingerprint) == (encoder.name, encoder.fingerprint)
    made, expected = encoder.encode_documents(TEXTS), by_torch.encode_documents(TEXTS)
    np.testing.assert_array_equal(made.offsets, expected.offsets)
    assert (made.dense * expected.dense).sum(1).min() > 0.999
    assert (made.tokens * expected.tokens).sum(1).mean() > 0.999


def test_neither_torch_nor_onnx_is_imported(folder):
    code = (
        "import sys; from retrieval.encoders.runtimes.cpu import CpuEncoder;"
        f"CpuEncoder({str(folder)!r}).encode_queries(['fox']);"
        "bad = {'torch', 'transformers', 'onnx', 'faiss'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def copied(folder, to):
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def edit(name, change):
    def apply(folder):
        contents = json.loads((folder / name).read_text())
        change(contents)
        (folder / name).write_text(json.dumps(contents))

    return apply


def truncate(name, keep):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:keep])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "config.json: cannot be read"),
        (truncate("config.json", 50), "config.json: not JSON"),
        (edit("config.json", lambda c: c.pop("retrieval")), 'no section "retrieval"'),
        (edit("config.json", lambda c: c.pop("hidden_size")), "hidden_size"),
        (
            edit("config.json", lambda c: c["retrieval"].update(max_tokens=10**6)),
            "max_tokens is 1000000, expected a number from 3 to 8192",
        ),
        (edit("config.json", lambda c: c["retrieval"].update(query_prefix=3)), "query_prefix is 3"),
        (edit("config.json", lambda c: c.update(vocab_size=9)), "not of one model"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json: cannot be read"),
        (truncate("tokenizer.json", 500), "tokenizer.json: not a tokenizer"),
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors: cannot be read"),
        (truncate("model.safetensors", -10), "truncated or altered"),
        (truncate("model.safetensors", 100), "not a safetensors file"),
        (truncate("model.safetensors", 0), "not a safetensors file"),
        (lambda f: (f / "model.onnx").unlink(), "model.onnx: not there"),
        (truncate("model.onnx", 1000), "model.onnx: ONNX Runtime [0-9.]+ cannot load it"),
    ],
)
def test_a_broken_folder_is_one_line(folder, tmp_path, damage, message):
    copy = copied(folder, tmp_path / "broken")
    damage(copy)
    with pytest.raises(CheckpointError, match=message) as caught:
        CpuEncoder(copy)
    assert "\n" not in str(caught.value)


def test_threads():
    assert usable_cores() >= 1
    with pytest.raises(InputError, match="threads=0"):
        CpuEncoder("anywhere", threads=0)
