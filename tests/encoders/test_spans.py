"""Spans of a document that is read as a whole: every runtime, and the definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents import chunk
from retrieval.encoders import load_encoder
from retrieval.encoders.checkpoints import open_folder, read_checkpoint
from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.heads import DenseHead, PooledHead, TokenHead, pool
from retrieval.encoders.model.network import Checkpoint, Network
from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.encoders.runtimes.cpu import CpuEncoder
from retrieval.encoders.runtimes.torch import TorchEncoder
from retrieval.encoders.sides import Side, SideReader, window_lengths
from retrieval.encoders.spans import read_spans
from retrieval.errors import CheckpointError, EncoderError, InputError
from retrieval.types import Document, Embeddings, SpanEncoder

from .cpu_models import Reference, save
from .random_models import TEXTS, byte_bpe, randomise, save_trunk, wordpiece

WINDOW = 7
TALE = (
    "The quick fox searched for a lazy dog. It jumped over vectors of late interaction. "
    "A query was not found there. The dog slept, and the brown fox went on to search the field."
)
SPANS = [(0, 38), (39, 82), (83, 111), (112, len(TALE))]
WORDPIECE = wordpiece().backend_tokenizer


def parts(made: Embeddings, i: int) -> dict[str, Any]:
    """All vectors of text i."""
    found = {"dense": made.dense[i]}
    for name, offsets in (("tokens", made.offsets), ("windows", made.window_offsets)):
        if offsets is not None:
            found[name] = getattr(made, name)[offsets[i] : offsets[i + 1]]
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Reference]:
    folder = tmp_path_factory.mktemp("spans") / "m"
    settings = {"dense_window": WINDOW, "document_prefix": "the ", "token_skiplist": [".", ","]}
    return folder, save(folder, quantize=False, settings=settings)


@pytest.mark.parametrize("device", [None, "cpu"], ids=["onnx", "torch"])
def test_a_span_has_its_own_tokens_read_in_the_whole(
    model: tuple[Path, Reference], device: str | None
) -> None:
    folder, reference = model
    encoder = load_encoder(folder, device=device)
    assert isinstance(encoder, SpanEncoder)
    made = encoder.encode_spans(TALE, SPANS)
    assert len(made) == len(SPANS)
    tokenizer = wordpiece()
    read = tokenizer(f"the {TALE}", return_offsets_mapping=True)
    ids = np.array(read["input_ids"])
    with torch.no_grad():
        hidden = reference.trunk(input_ids=torch.from_numpy(ids)[None]).last_hidden_state[0]
    head = torch.from_numpy(reference.state["dense_head.weight"])
    every = reference(ids)["tokens"]
    skipped = tokenizer.convert_tokens_to_ids([".", ","])
    around = [{0, 1}, set(), set(), {len(ids) - 1}]  # [CLS], the prompt, [SEP]
    for i, (start, end) in enumerate(SPANS):
        own = [
            place
            for place, (a, b) in enumerate(read["offset_mapping"])
            if place in around[i] or (a < b and a - 4 < end and b - 4 > start)
        ]
        found = parts(made, i)
        expected = F.normalize(hidden[own].mean(0) @ head.T, dim=-1)
        np.testing.assert_allclose(found["dense"], expected, atol=5e-6)
        cut = hidden[own].split(window_lengths(len(own), WINDOW).tolist())
        windows = [F.normalize(part.mean(0) @ head.T, dim=-1).numpy() for part in cut]
        np.testing.assert_allclose(found["windows"], windows, atol=5e-6)
        kept = [place for place in own if ids[place] not in skipped]
        np.testing.assert_allclose(found["tokens"], every[kept], atol=5e-6)


RUNTIMES = ["compiled", "onnx", "torch"]


@pytest.fixture(scope="module")
def embedded() -> dict[str, Any]:
    """The embedded model in each runtime that there is here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETRIEVAL_ISA", "portable")
        made = {"onnx": load_encoder(), "torch": load_encoder(device="cpu")}
    fast = load_encoder()
    if type(fast._forward).__name__ == "CompiledNetwork":  # type: ignore[attr-defined]
        made["compiled"] = fast
    return made


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_one_span_over_the_whole_is_the_document(embedded: dict[str, Any], runtime: str) -> None:
    if runtime not in embedded:
        pytest.skip("no compiled network for this processor")
    encoder = embedded[runtime]
    for text in ("", " \n", "fox", TALE, f"  {TALE}\n" * 6):
        whole = encoder.encode_documents([text])
        span = encoder.encode_spans(text, [(0, len(text))])
        for name in ("dense", "tokens", "windows"):
            np.testing.assert_allclose(getattr(span, name), getattr(whole, name), atol=5e-6)
        for name in ("offsets", "window_offsets"):
            np.testing.assert_array_equal(getattr(span, name), getattr(whole, name))


def test_the_runtimes_agree(embedded: dict[str, Any]) -> None:
    text = TALE * 5
    spans = [(p.start, p.end) for p in chunk(Document("d", text), embedded["onnx"].token_spans,
                                            max_tokens=50)]  # fmt: skip
    assert len(spans) > 3
    made = {name: encoder.encode_spans(text, spans) for name, encoder in embedded.items()}
    for name, other in made.items():
        for kind in ("dense", "tokens", "windows"):
            ours, theirs = getattr(made["onnx"], kind), getattr(other, kind)
            cosines = (ours * theirs).sum(1)
            assert cosines.min() > 0.9 and cosines.mean() > 0.99, (name, kind)
        np.testing.assert_array_equal(made["onnx"].offsets, other.offsets)


def test_a_span_knows_its_neighbours(embedded: dict[str, Any]) -> None:
    encoder = embedded["torch"]
    first, other = TALE, TALE.replace("lazy dog", "solar eclipse")
    spans = [(first.index("It jumped"), len(first))]
    moved = [(other.index("It jumped"), len(other))]
    here, there = encoder.encode_spans(first, spans), encoder.encode_spans(other, moved)
    alone = encoder.encode_documents([first[spans[0][0] :]])
    assert (here.dense @ there.dense.T).item() < 0.9999
    assert (here.dense @ alone.dense.T).item() < 0.9999


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=40),
    limit=st.integers(4, 120),
    prompt=st.sampled_from(["", "the lazy "]),
)
def test_a_long_document_is_read_in_stretches(lengths: list[int], limit: int, prompt: str) -> None:
    words = [" ".join(["fox"] * length) for length in lengths]
    text = " dog ".join(words)
    starts = np.cumsum([0, *(len(word) + 5 for word in words)])
    spans = [(int(at), int(at) + len(word)) for at, word in zip(starts, words, strict=False)]
    reader = SideReader(WORDPIECE, Side(limit, prompt=prompt))
    read = read_spans(reader, WORDPIECE, text, spans)
    assert sum(len(sequence.parts or ()) for sequence in read) == len(spans)
    assert all(len(sequence.ids) <= limit for sequence in read)
    fox = WORDPIECE.token_to_id("fox")
    found = [sequence.ids[part] for sequence in read for part in sequence.parts or ()]
    for part, length in zip(found, lengths, strict=True):
        assert len(part) > 0
        if length:
            assert (part == fox).sum() == min(length, reader.room)
    assert all(sequence.parts and 0 in sequence.parts[0] for sequence in read)
    assert all(sequence.parts and len(sequence.ids) - 1 in sequence.parts[-1] for sequence in read)
    whole = len(WORDPIECE.encode(text, add_special_tokens=False).ids)
    if whole <= reader.room:
        assert len(read) == 1
    else:
        longest = max(lengths)
        assert len(read) <= 2 * -(-whole // max(reader.room - longest, 1)) + 1


def test_stretches_are_about_one_length() -> None:
    text = "the fox jumps over a dog . " * 300
    spans = [(at, at + 26) for at in range(0, len(text), 27)]
    reader = SideReader(WORDPIECE, Side(1000))
    sizes = [len(sequence.ids) for sequence in read_spans(reader, WORDPIECE, text, spans)]
    assert len(sizes) == 3 and max(sizes) - min(sizes) < 20


def test_a_long_document_gives_every_span_its_vectors(model: tuple[Path, Reference]) -> None:
    encoder = CpuEncoder(model[0])
    text = TALE * 20
    spans = [(p.start, p.end) for p in chunk(Document("d", text), encoder.token_spans,
                                            max_tokens=60)]  # fmt: skip
    made = encoder.encode_spans(text, spans)
    assert len(made) == len(spans) > 10
    alone = encoder.encode_documents([text[a:b] for a, b in spans])
    own = np.diff(alone.offsets)[2] - 3  # without [CLS], the prompt and [SEP]
    assert np.diff(made.offsets)[2] in (own, own + 1, own + 2, own + 3)
    np.testing.assert_allclose(np.linalg.norm(made.dense, axis=1), 1, atol=1e-5)
    # The first span of a stretch knows what comes after it, but not what came before.
    assert np.abs(made.dense[0] - alone.dense[0]).max() > 1e-4


def test_no_spans_and_spans_of_nothing(model: tuple[Path, Reference]) -> None:
    for encoder in (CpuEncoder(model[0]), load_encoder(model[0], device="cpu")):
        none = encoder.encode_spans(TALE, [])
        assert len(none) == 0 and none.offsets.tolist() == [0]
        made = encoder.encode_spans("fox   dog", [(3, 6), (4, 4), (9, 9)])
        # A token beside it stands in; [CLS] and the prompt are the first one's, [SEP] the last's.
        assert np.diff(made.offsets).tolist() == [3, 1, 2]
        np.testing.assert_allclose(np.linalg.norm(made.dense, axis=1), 1, atol=1e-5)


def test_spans_may_overlap(model: tuple[Path, Reference]) -> None:
    encoder = CpuEncoder(model[0])
    made = encoder.encode_spans(TALE, [(0, 82), (39, 111), (39, 82), (83, 90)])
    single = encoder.encode_spans(TALE, SPANS)
    np.testing.assert_array_equal(parts(made, 2)["tokens"], parts(single, 1)["tokens"])


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([(0, 5), (3, 1)], r"span \(3, 1\) is not within a text of 173 characters"),
        ([(-1, 5)], r"span \(-1, 5\)"),
        ([(170, 188)], r"span \(170, 188\)"),
        ([(5, 9), (0, 4)], "not in the order of the text; sort them"),
    ],
)
def test_spans_that_cannot_be(
    model: tuple[Path, Reference], spans: list[tuple[int, int]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        CpuEncoder(model[0]).encode_spans(TALE, spans)


@pytest.mark.parametrize("tokenizer", [wordpiece(), byte_bpe()], ids=["wordpiece", "bpe"])
@pytest.mark.parametrize(
    "document",
    [
        Side(300),
        Side(300, prompt="search for ", marker=5, skipped=(9, 11)),
        Side(40, strip=True, window=9),
    ],
    ids=["plain", "marked", "short"],
)
def test_sides_and_tokenizers(tmp_path: Path, tokenizer: Any, document: Side) -> None:
    read = read_checkpoint(open_folder(save_trunk(tmp_path, tokenizer)))
    dense, tokens = DenseHead(32, 12), TokenHead(32, TokenHeadShape(8, 16, near=4, reach=3))
    randomise(dense), randomise(tokens)
    checkpoint = Checkpoint(
        "tiny", Network(read.network.trunk, dense, tokens), read.tokenizer, read.vocabulary,
        document=document, query=Side(60),
    )  # fmt: skip
    encoder = TorchEncoder(checkpoint, device="cpu", budget=60)
    for text in (*TEXTS, TALE, f"\n  {TALE}  "):
        whole, span = encoder.encode_documents([text]), encoder.encode_spans(text, [(0, len(text))])
        for i, found in parts(whole, 0).items():
            np.testing.assert_allclose(parts(span, 0)[i], found, atol=5e-6)
    made = encoder.encode_spans(TALE, SPANS)
    assert len(made) == 4 and np.isfinite(made.tokens).all()
    vectors = encoder.vector_spans(TALE, "document")
    if document.max_tokens == 300:  # all of it is read at once
        every = encoder.encode_documents([TALE]).tokens
        empty = vectors[:, 0] == vectors[:, 1]
        for i, (start, end) in enumerate(SPANS):
            inside = (vectors[:, 0] < end) & (vectors[:, 1] > start)
            around = {0: slice(0, empty.argmin()), 3: slice(-1, None)}.get(i, slice(0, 0))
            inside[around] |= empty[around]
            expected = every[inside]
            np.testing.assert_allclose(parts(made, i)["tokens"], expected, atol=5e-6)


@pytest.mark.parametrize("way", ["cls", "lasttoken", "mean", "max", "weightedmean"])
def test_a_vector_of_one_token_is_none_of_a_span(tmp_path: Path, way: str) -> None:
    read = read_checkpoint(open_folder(save_trunk(tmp_path)))
    network = Network(read.network.trunk, PooledHead((way,), include_prompt=False))
    checkpoint = Checkpoint(
        "tiny", network, read.tokenizer, read.vocabulary,
        document=Side(300, prompt="the "), query=Side(60),
    )  # fmt: skip
    encoder = TorchEncoder(checkpoint, device="cpu")
    if way in ("cls", "lasttoken"):
        with pytest.raises(EncoderError, match="first or last token, so it has none of a part"):
            encoder.encode_spans(TALE, SPANS)
        return
    whole, span = encoder.encode_documents([TALE]), encoder.encode_spans(TALE, [(0, len(TALE))])
    np.testing.assert_allclose(span.dense, whole.dense, atol=5e-6)
    # The prompt, left out of the first span, is none of the second: all of that is pooled.
    ids = encoder._document.read([TALE])[0].ids
    hidden = network.trunk(torch.from_numpy(ids), Layout.of([len(ids)]))
    second = (encoder._document.read_parts(TALE, np.array(SPANS)).parts or ())[1]
    expected = pool(hidden[second], Layout.of([len(second)]), way)
    made = encoder.encode_spans(TALE, SPANS)
    np.testing.assert_allclose(made.dense[1:2], F.normalize(expected, dim=-1), atol=5e-6)


def test_a_graph_of_an_older_release_says_so(model: tuple[Path, Reference]) -> None:
    encoder = CpuEncoder(model[0])
    encoder._forward._by_token.remove("hidden")  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match=r"gives no hidden vectors.*export the model again"):
        encoder.encode_spans(TALE, SPANS)
