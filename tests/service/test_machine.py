"""What this machine runs each part on: what is said is what is done."""

import importlib.util

import pytest
import torch

from retrieval.encoders.model.attention import BACK_ENDS
from retrieval.encoders.runtimes import compiled
from retrieval.errors import InputError
from retrieval.indexes import kernels
from retrieval.indexes.kernels import backend
from retrieval.service.machine import Choice, choices


def found() -> dict[str, Choice]:
    return {one.job: one for one in choices()}


def test_what_is_said_is_what_is_used() -> None:
    one = found()
    assert one["late interaction"].used == kernels.isa()
    assert {one["late interaction"].used, *one["late interaction"].why_not} == {*backend.KNOWN}
    assert {one["attention"].used, *one["attention"].why_not} == {*BACK_ENDS}
    device = "cpu" if not torch.cuda.is_available() else torch.cuda.get_device_name()
    assert one["other models"].used == f"{device}, torch {torch.__version__}"
    isa = compiled.chosen()
    network = one["embedded model"]
    assert network.used == ("onnx" if isa is None else f"compiled, {isa}")
    if isa is not None:
        assert {isa, *network.why_not} == {*compiled.KNOWN, "onnx"}
    assert one["dense search"].used.startswith("faiss ")
    assert all(why for choice in one.values() for why in choice.why_not.values())


def test_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRIEVAL_ISA", "portable")
    monkeypatch.setenv("RETRIEVAL_THREADS", "3")
    monkeypatch.setenv("RETRIEVAL_ATTENTION", "plain")
    one = found()
    assert one["embedded model"] == Choice(
        "embedded model", "onnx", {"compiled": compiled.obstacle()}
    )
    assert one["late interaction's threads"].used == "3"
    assert one["attention"].used == "plain"
    monkeypatch.setenv("RETRIEVAL_ATTENTION", "none")
    with pytest.raises(InputError, match="RETRIEVAL_ATTENTION=none is unknown"):
        choices()


@pytest.mark.parametrize("isa", compiled.available())
def test_the_embedded_models_instruction_set_is_chosen(
    monkeypatch: pytest.MonkeyPatch, isa: str
) -> None:
    monkeypatch.setenv("RETRIEVAL_ISA", isa)
    network = found()["embedded model"]
    assert network.used == f"compiled, {isa}"
    for other in set(compiled.available()) - {isa}:
        assert network.why_not[other] == f"not chosen; RETRIEVAL_ISA={other} chooses it"


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "torch" else find(name, *a)
    )
    one = found()
    assert one["other models"].used == "nothing"
    assert "pip install" in one["other models"].why_not["torch"]
    assert "attention" not in one


@pytest.mark.parametrize(
    ("capability", "dtype", "why"),
    [((9, 0), "bfloat16", ""), ((7, 5), "float32", "needs an Ampere GPU or a later one")],
)
def test_on_a_gpu(monkeypatch: pytest.MonkeyPatch, capability, dtype: str, why: str) -> None:
    device = torch.device("cuda")
    monkeypatch.setattr("retrieval.encoders.runtimes.torch.choose_device", lambda: device)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    one = found()
    assert one["other models"].used.startswith("H100, torch ")
    assert one["precision"].used == dtype
    assert one["precision"].why_not.get("bfloat16", "") == why
    expected = "plain" if why else "varlen"
    assert one["attention"].used == expected
