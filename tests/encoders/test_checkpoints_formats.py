"""Finding, fetching and refusing checkpoints: every wrong input ends in one line that helps."""

import fnmatch
import json
import pickle
import shutil
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import constants, errors
from safetensors.torch import load_file, save_file
from transformers import ModernBertForMaskedLM

from retrieval.encoders import load_encoder
from retrieval.encoders.checkpoints import detect, open_folder, read_checkpoint
from retrieval.encoders.checkpoints.transformers import read_masked_lm
from retrieval.encoders.runtimes.cpu import CpuEncoder
from retrieval.encoders.runtimes.torch import TorchEncoder
from retrieval.errors import CheckpointError, MissingDependency

from . import cpu_models
from .random_models import TEXTS, modernbert, save_trunk, wordpiece

TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_trunk(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to break."""
    return shutil.copytree(saved, tmp_path / "copy")


def edit(path, **changes):
    """Change keys of a JSON file; None takes a key away."""
    contents = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: x for key, x in contents.items() if x is not None}))


def refused(folder, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        load_encoder(folder, device="cpu")
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


# Formats


def test_transformers_folders_are_pooled_by_the_mean(saved):
    encoder = load_encoder(saved, device="cpu")
    assert isinstance(encoder, TorchEncoder)
    assert (encoder.name, encoder.dense_dim, encoder.token_dim) == (str(saved), 32, None)
    tokenizer, model = wordpiece(), modernbert()
    with torch.inference_mode():
        hidden = [model(**tokenizer(x, return_tensors="pt")).last_hidden_state[0] for x in TEXTS]
    expected = torch.nn.functional.normalize(torch.stack([x.mean(0) for x in hidden]), dim=-1)
    made = encoder.encode_documents(TEXTS)
    assert made.tokens is None and made.offsets is None
    assert np.abs(made.dense - expected.numpy()).max() <= TOLERANCE
    assert np.array_equal(made.dense, encoder.encode_queries(TEXTS).dense)


def test_however_the_weights_are_written_it_is_the_same_encoder(saved, tmp_path):
    """Sharded, prefixed, beside another head: the same vectors and the same fingerprint."""
    encoder = load_encoder(saved, device="cpu")
    sharded = tmp_path / "sharded"
    modernbert().save_pretrained(sharded, max_shard_size="40KB")
    wordpiece().save_pretrained(sharded)
    assert len(list(sharded.glob("*.safetensors"))) > 1
    prefixed = save_trunk(tmp_path / "prefixed")
    masked = ModernBertForMaskedLM(modernbert().config)
    masked.model.load_state_dict(modernbert().state_dict())
    masked.save_pretrained(prefixed)
    assert "model.final_norm.weight" in load_file(prefixed / "model.safetensors")
    for other in (sharded, prefixed):
        loaded = load_encoder(str(other), device="cpu")
        assert loaded.fingerprint == encoder.fingerprint
        assert np.array_equal(
            loaded.encode_documents(TEXTS).dense, encoder.encode_documents(TEXTS).dense
        )


def test_half_precision_weights(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "half")
    path = folder / "model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(path).items()}, path)
    network = read_checkpoint(open_folder(folder)).network
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}


def test_the_tokenizer_says_how_long_texts_may_be(folder):
    edit(folder / "tokenizer_config.json", model_max_length=77)
    assert load_encoder(folder, device="cpu").max_tokens == 77
    edit(folder / "tokenizer_config.json", model_max_length=10**30)
    assert load_encoder(folder, device="cpu").max_tokens == 8192


def test_truncation_and_padding_of_tokenizer_json_are_ignored(folder, saved):
    tokenizer = wordpiece().backend_tokenizer
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=128)
    tokenizer.save(str(folder / "tokenizer.json"))
    ours, plain = load_encoder(folder, device="cpu"), load_encoder(saved, device="cpu")
    made, expected = ours.encode_documents(TEXTS), plain.encode_documents(TEXTS)
    assert np.array_equal(made.dense, expected.dense)
    assert ours.fingerprint == plain.fingerprint


@pytest.mark.parametrize("quantize", [True, False])
def test_the_own_format(tmp_path, quantize):
    settings = {
        "name": "tiny-own",
        "document_prefix": "fox ",
        "query_prefix": "search ",
        "token_skiplist": [",", "."],
        "max_tokens": 200,
        "query_max_tokens": 30,
    }
    cpu_models.save(tmp_path / "own", quantize=quantize, settings=settings)
    assert detect(open_folder(tmp_path / "own")) == "own"
    cpu = load_encoder(tmp_path / "own")
    ours = load_encoder(tmp_path / "own", device="cpu")
    assert isinstance(cpu, CpuEncoder) and isinstance(ours, TorchEncoder)
    for name in ("name", "fingerprint", "dense_dim", "token_dim", "max_tokens"):
        assert getattr(ours, name) == getattr(cpu, name)
    # int8 activations on the one side, floats on the other.
    limit = 0.1 if quantize else TOLERANCE
    for side in ("encode_documents", "encode_queries"):
        made, expected = getattr(ours, side)(TEXTS), getattr(cpu, side)(TEXTS)
        assert np.array_equal(made.offsets, expected.offsets)
        assert np.abs(made.dense - expected.dense).max() <= limit
        assert np.abs(made.tokens - expected.tokens).mean() <= limit
    assert np.diff(ours.encode_queries(TEXTS).offsets).max() == 30


def test_without_a_source_it_is_the_embedded_model(tmp_path, monkeypatch):
    cpu_models.save(tmp_path / "own")
    monkeypatch.setattr("retrieval.encoders.embedded.embedded_folder", lambda: tmp_path / "own")
    cpu, ours = load_encoder(), load_encoder(device="cpu")
    assert isinstance(cpu, CpuEncoder) and isinstance(ours, TorchEncoder)
    assert cpu.fingerprint == ours.fingerprint


@pytest.mark.parametrize("head", ["dense", "token"])
def test_one_head_of_the_own_format(tmp_path, head):
    cpu_models.save(tmp_path / "own")
    path = tmp_path / "own" / "model.safetensors"
    kept = {name: x for name, x in load_file(path).items() if f"{head}_head" not in name}
    save_file(kept, path)
    ours = load_encoder(tmp_path / "own", device="cpu")
    assert (ours.dense_dim is None, ours.token_dim is None) == (head == "dense", head == "token")
    made = ours.encode_documents(TEXTS)
    assert (made.dense is None, made.tokens is None) == (head == "dense", head == "token")
    assert len(made) == len(TEXTS)


# Wrong input


def test_a_folder_with_a_pickle_alone(folder):
    (folder / "model.safetensors").unlink()

    class Trap:
        def __reduce__(self):
            return (Path.touch, (folder / "it-ran",))

    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    message = refused(folder, "pytorch_model.bin, a pickle")
    assert "save_pretrained" in message
    assert not (folder / "it-ran").exists()


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "no model.safetensors there")


@pytest.mark.parametrize("kept", [0, 5, 300, -1])
def test_truncated_weights(folder, kept):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    refused(folder, r"model\.safetensors.*(truncated|not a safetensors file)")


def test_a_missing_shard(folder):
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"final_norm.weight": "model-1.safetensors"}}))
    refused(folder, "model-1.safetensors")
    index.write_text(json.dumps({"weight_map": {"final_norm.weight": "../x.safetensors"}}))
    refused(folder, r"\.\./x\.safetensors")
    index.write_text("{}")
    refused(folder, "names no file")


def rewrite(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def test_missing_tensors_are_named(folder):
    rewrite(folder, lambda tensors: tensors.pop("layers.1.mlp.Wi.weight"))
    refused(folder, r"lack layers\.1\.mlp\.Wi\.weight:")
    rewrite(folder, lambda tensors: [tensors.pop(f"layers.{i}.mlp.Wo.weight") for i in range(4)])
    refused(folder, r"layers\.0\.mlp\.Wo\.weight.*and 2 more")


def test_a_wrong_shape(folder):
    edit(folder / "config.json", intermediate_size=40)
    refused(folder, r"layers\.0\.mlp\.Wi\.weight.*\(96, 32\).*\(80, 32\)")


def test_more_layers_than_the_configuration_says(folder):
    edit(folder / "config.json", num_hidden_layers=3, layer_types=["full_attention"] * 3)
    refused(folder, r"no place for the tensor layers\.3\.")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"vocab_size": None}, "no key 'vocab_size'"),
        ({"hidden_size": "wide"}, "cannot be used"),
        ({"num_attention_heads": 5}, "hidden size 32 in 5 heads"),
        ({"num_hidden_layers": 0, "layer_types": []}, "below 1"),
        ({"layer_types": ["full_attention"]}, "names 1 layers"),
        ({"layer_types": ["chunked"] * 4}, "'chunked'"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "'yarn'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling"),
        ({"hidden_activation": "swish9"}, "'swish9'"),
        ({"architectures": ["ModernBertForSequenceClassification"]}, "gives no embeddings"),
    ],
)
def test_configurations_that_cannot_be_used(folder, changes, match):
    edit(folder / "config.json", **changes)
    with pytest.raises(CheckpointError, match=match):
        load_encoder(folder, device="cpu")


def test_files_that_are_no_json(folder):
    (folder / "config.json").write_text("{")
    refused(folder, "config.json cannot be read")
    (folder / "config.json").write_text("[]")
    refused(folder, "no JSON object")
    (folder / "config.json").write_bytes(b"\xff\xfe")
    refused(folder, "config.json cannot be read")
    (folder / "config.json").unlink()
    refused(folder, "no config.json there")


def test_tokenizers(folder):
    path = folder / "tokenizer.json"
    whole = path.read_text()
    edit(folder / "config.json", vocab_size=50)
    rewrite(folder, lambda x: x.update({EMBEDDINGS: x[EMBEDDINGS][:50].clone()}))
    refused(folder, "embeds 50 tokens")
    path.write_text(whole.replace("WordPiece", "Unheard"))
    refused(folder, "not a tokenizer")
    path.unlink()
    refused(folder, "no tokenizer.json there")


EMBEDDINGS = "embeddings.tok_embeddings.weight"


def test_a_checkpoint_without_the_head_that_was_asked_for(saved):
    with pytest.raises(CheckpointError, match=r"lack head\.dense\.weight"):
        read_masked_lm(open_folder(saved))


def test_sparse_and_cross_encoders(folder):
    (folder / "modules.json").write_text("[]")
    (folder / "config_sentence_transformers.json").write_text('{"model_type": "SparseEncoder"}')
    refused(folder, "a SparseEncoder, which gives neither")


@pytest.mark.parametrize("contents", ['{"a": 1}', "[1]", '[{"path": ""}]'])
def test_modules_that_are_none(folder, contents):
    (folder / "modules.json").write_text(contents)
    refused(folder, "modules.json is not a list of modules")


def test_without_torch(saved, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"torch.*pip install 'modernbert-retrieval\[torch"):
        load_encoder(saved)


# Where it comes from


def test_neither_a_folder_nor_an_id(tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        load_encoder(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no such folder"):
        load_encoder("./not/there")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(CheckpointError, match="expected the folder"):
        load_encoder(file)


def test_offline(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="Hub cannot be reached: go online once") as caught:
        load_encoder("someone/some-model")
    assert "\n" not in str(caught.value)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub whose one repository is a folder; it notes what is fetched."""
    repository, cache = tmp_path / "repository", tmp_path / "cache"
    fetched = []

    def snapshot_download(repo, *, allow_patterns, ignore_patterns):
        assert repo == "someone/some-model"
        for path in sorted(path for path in repository.rglob("*") if path.is_file()):
            name = path.relative_to(repository).as_posix()
            if any(fnmatch.fnmatch(name, pattern) for pattern in ignore_patterns):
                continue
            if any(fnmatch.fnmatch(name, pattern) for pattern in allow_patterns):
                fetched.append(name)
                target = cache / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        return str(cache)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return repository, fetched


def test_only_what_is_needed_is_fetched(saved, hub):
    repository, fetched = hub
    shutil.copytree(saved, repository)
    for name in (
        "pytorch_model.bin", "modeling.py", "README.md", "onnx/model.onnx", "onnx/config.json",
        "checkpoint-5/model.safetensors", "checkpoint-5/config.json", "original/model.safetensors",
        "training_args.bin", "rust_model.ot", "tf_model.h5",
    ):  # fmt: skip
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_bytes(b"no")
    encoder = load_encoder("someone/some-model", device="cpu")
    assert encoder.name == "someone/some-model"
    assert encoder.fingerprint == load_encoder(saved, device="cpu").fingerprint
    assert set(fetched) == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_the_weights_of_modules_are_fetched(saved, hub):
    from .test_late_pylate import save

    repository, fetched = hub
    save(repository)
    encoder = load_encoder("someone/some-model", device="cpu")
    assert encoder.token_dim == 128
    assert {"model.safetensors", "1_Dense/model.safetensors"} <= set(fetched)


def test_a_repository_with_pickles_alone(saved, hub):
    repository, _ = hub
    shutil.copytree(saved, repository)
    (repository / "model.safetensors").rename(repository / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"some-model: no model\.safetensors there"):
        load_encoder("someone/some-model", device="cpu")


@pytest.mark.parametrize(
    ("error", "match"),
    [
        (errors.LocalEntryNotFoundError("x"), "cannot be reached"),
        (errors.OfflineModeIsEnabled("x"), "cannot be reached"),
        (ConnectionError("x"), "cannot be reached"),
        (OSError(28, "No space left on device"), "No space left"),
        (errors.HFValidationError("bad id\nmore"), "fetched from the Hub .*bad id"),
    ],
)
def test_what_may_go_wrong_at_the_hub(monkeypatch, error, match):
    def snapshot_download(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(CheckpointError, match=match):
        load_encoder("someone/some-model")


@pytest.mark.parametrize(
    ("kind", "match"),
    [(errors.RepositoryNotFoundError, "no such repository"), (errors.GatedRepoError, "terms")],
)
def test_repositories_that_are_closed(monkeypatch, kind, match):
    def snapshot_download(*_, **__):
        raise kind.__new__(kind)  # its constructor wants the response of a server

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(CheckpointError, match=match):
        load_encoder("someone/some-model")


def test_cheap_to_import():
    import subprocess

    code = "import sys, retrieval.encoders; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "onnxruntime", "tokenizers", "huggingface_hub", "safetensors"}
    assert heavy.isdisjoint(out.stdout.split())
