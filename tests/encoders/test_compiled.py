"""The compiled network against numpy, on random weights of every shape that it takes."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from retrieval.encoders.model.quantized import tensor_places, write_tensors
from retrieval.encoders.model_folder import WEIGHTS_FILE
from retrieval.encoders.runtimes import compiled
from retrieval.encoders.runtimes.compiled import CompiledNetwork
from retrieval.errors import CheckpointError

from .quantized_network import VOCABULARY, config, forward, save

ISAS = compiled.available()
pytestmark = pytest.mark.skipif(not ISAS, reason="no compiled network for this processor")

# Both sides of every edge: of steps of 6, 12, 16 and 32 rows, blocks of 96, registers of 16,
# windows.
LENGTHS = (1, 2, 5, 6, 7, 12, 13, 16, 17, 32, 33, 34, 63, 64, 65, 95, 96, 97, 150, 193, 600)
SHAPES = {
    "small": {},
    "one head": {"hidden": 128, "heads": 1, "inner": 192},
    "heads of 96": {"hidden": 192, "heads": 2},
    "as shipped": {"hidden": 384, "heads": 6, "inner": 768, "window": 64},
    "narrow window": {"window": 1},
    "window of 13": {"window": 13, "kinds": ("local", "global")},
    "all global": {"kinds": ("global",) * 4},
    "one layer": {"kinds": ("local",)},
}
HEADS = {
    "both": {},
    "no dense": {"dense": 0},
    "no tokens": {"tokens": 0},
    "wide": {"dense": 100, "tokens": 130, "up": 208},
    "whole groups": {"tokens": 64, "up": 64},
    "neighbours": {"near": 16, "reach": 3},
    "as wide as the trunk": {"near": 64, "reach": 40},
    "itself alone": {"near": 48, "reach": 0},
}


def ids_of(length, seed=0):
    return np.random.default_rng([length, seed]).integers(0, VOCABULARY, length)


@pytest.fixture(params=ISAS)
def isa(request):
    """Each instruction set of this processor."""
    return request.param


def network(folder, shape, dense_window=None, isa=None):
    places = tensor_places(folder / WEIGHTS_FILE)
    assert compiled.supports(shape, places)
    return CompiledNetwork(folder, shape, places, dense_window, isa or ISAS[0])


def assert_same(run, shape, stored, length, dense_window):
    """The same to float rounding in one draw of ids, and near it in all that came before.

    A sum that lies between two codes may be rounded to either, and what follows differs by that:
    seldom in short texts and few layers, nearly always in long ones, which need only be near.
    """
    sure = length <= (200 if shape.num_layers == 1 else 34)
    for seed in range(20):
        ids = ids_of(length, seed)
        made, expected = run(ids), forward(shape, stored, ids, dense_window)
        apart = 0.0
        for name, wanted in expected.items():
            assert made[name].shape == wanted.shape
            cosines = (made[name] * wanted).sum(-1)
            assert cosines.min() > 0.99 and cosines.mean() > 0.998, name
            apart = max(apart, np.abs(made[name] - wanted).max())
        if apart < 1e-6 or not sure:
            return
    raise AssertionError(f"{length} tokens: the last was {apart} apart")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_shape_and_length(tmp_path, shape):
    shape = config(**shape)
    stored = save(tmp_path, shape)
    run = network(tmp_path, shape, 7)
    for length in LENGTHS:
        assert_same(run, shape, stored, length, 7)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("heads", HEADS.values(), ids=HEADS)
def test_every_instruction_set_gives_the_same_to_the_bit(tmp_path, shape, heads):
    shape = config(**shape)
    save(tmp_path, shape, **heads)
    each = {isa: network(tmp_path, shape, 7, isa) for isa in ISAS}
    # The longest is for attention, which no head has a part in.
    for length in LENGTHS if heads is HEADS["both"] else LENGTHS[:-1]:
        made = {isa: run(ids_of(length)) for isa, run in each.items()}
        for isa in ISAS[1:]:
            for name, expected in made[ISAS[0]].items():
                assert made[isa][name].tobytes() == expected.tobytes(), (isa, length, name)


@pytest.mark.parametrize("heads", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("window", [None, 1, 64])
def test_every_head(tmp_path, heads, window):
    shape = config(kinds=("local",))
    stored = save(tmp_path, shape, **heads)
    run = network(tmp_path, shape, window)
    for length in (1, 65, 100):
        assert_same(run, shape, stored, length, window)


@pytest.mark.parametrize("heads", HEADS.values(), ids=HEADS)
def test_hidden_vectors_are_what_the_heads_read(tmp_path, heads):
    shape = config(kinds=("local", "global"))
    stored = save(tmp_path, shape, **heads)
    run = network(tmp_path, shape, 16)
    for length in (1, 96, 150):
        ids = ids_of(length)
        made, pooled = run.hidden(ids), run(ids)
        assert made["hidden"].shape == (length, 64)
        np.testing.assert_array_equal(made["tokens"], pooled["tokens"])
        if "dense_head.weight" in stored:
            dense = made["hidden"].sum(0) @ stored["dense_head.weight"].T
            np.testing.assert_allclose(dense / np.linalg.norm(dense), pooled["dense"][0], atol=1e-6)
    with pytest.raises(ValueError, match="an id is not below"):
        run.hidden(np.array([VOCABULARY]))


def test_texts_in_threads_side_by_side_are_the_same_to_the_bit(tmp_path):
    shape = config(hidden=128)
    save(tmp_path, shape)
    run = network(tmp_path, shape, 16)
    texts = [ids_of(length) for length in (*LENGTHS, 700, 1100) * 4]
    alone = [run(ids) for ids in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(network(tmp_path, shape, 16), texts))
    for one, other in zip(alone, together, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_rotations_are_rounded_once_so_that_every_processor_has_the_same():
    shape = config()
    cosines, sines = compiled._Rotation(shape.global_theta, 64)(3000)
    for position in (0, 1, 7, 512, 2999):
        for i in range(32):
            frequency = np.float32(shape.global_theta ** (-2 * i / 64))
            angle = float(np.float32(position) * frequency)
            assert cosines[position, i] == np.float32(math.cos(angle))
            assert sines[position, i] == np.float32(math.sin(angle))


def test_the_largest_products_are_exact(tmp_path, isa):
    """Sums of two products of bytes need not fit 16 bits: a fast instruction would cut them off."""
    shape = config(kinds=("local",), hidden=128, inner=128)
    stored = save(tmp_path, shape, near=16, reach=1)
    random = np.random.default_rng(5)
    for name, values in stored.items():
        if values.dtype == np.int8:
            stored[name] = (127 * random.choice([-1, 1], values.shape)).astype(np.int8)
    write_tensors(tmp_path / WEIGHTS_FILE, stored)
    run = network(tmp_path, shape, isa=isa)
    for length in (1, 13, 100):
        assert_same(run, shape, stored, length, None)


def test_rows_of_zeros_have_no_direction_and_no_nan(tmp_path, isa):
    shape = config(kinds=("global",))
    stored = save(tmp_path, shape)
    stored["embeddings.norm.weight"][:] = 0
    stored["layers.0.mlp_norm.weight"][:] = 0
    write_tensors(tmp_path / WEIGHTS_FILE, stored)
    made = network(tmp_path, shape, isa=isa)(ids_of(5))
    assert not made["tokens"].any() and not made["dense"].any()


@pytest.mark.parametrize("wrong", [-1, VOCABULARY, 1 << 40, -(1 << 63)])
def test_an_id_outside_the_vocabulary_is_refused(tmp_path, wrong):
    shape = config()
    save(tmp_path, shape)
    with pytest.raises(ValueError, match=f"an id is not below {VOCABULARY}"):
        network(tmp_path, shape)(np.array([1, wrong, 2]))


def test_a_text_of_no_tokens_is_refused(tmp_path):
    shape = config()
    save(tmp_path, shape)
    with pytest.raises(ValueError, match="at least one token"):
        network(tmp_path, shape)(np.array([], np.int64))


def test_arrays_of_another_size_or_kind_are_refused(tmp_path):
    shape = config()
    save(tmp_path, shape)
    run = network(tmp_path, shape)
    ids, angles = ids_of(3), np.zeros((3, 16), np.float32)
    outputs = [np.zeros((1, 24), np.float32), np.zeros((0, 24), np.float32)]
    tokens = np.zeros((3, 24), np.float32)

    def call(ids, angles, tokens):
        compiled._compiled.forward(run._network, ids, *[angles] * 4, *outputs, tokens)

    call(ids, angles, tokens)
    read_only = tokens.copy()
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="hidden"):
        compiled._compiled.hidden(run._network, ids, *[angles] * 4, np.zeros((2, 64), "f4"), tokens)
    for arguments in (
        (ids.astype(np.int32), angles, tokens),
        (ids, angles[:2], tokens),
        (ids, angles.astype(np.float64), tokens),
        (ids, angles, tokens[:2]),
        (ids, angles, tokens.T),
        (ids, angles, read_only),
    ):
        with pytest.raises((ValueError, BufferError)):
            call(*arguments)


@pytest.mark.parametrize("change", ["missing", "shorter", "wider", "float"])
def test_tensors_that_are_not_the_configurations_are_refused(tmp_path, change):
    shape = config()
    stored = save(tmp_path, shape)
    name = "layers.1.mlp.Wo.weight"
    if change == "missing":
        del stored[name + "_scale"]
    elif change == "shorter":
        stored[name] = stored[name][:-1]
    elif change == "wider":
        stored["final_norm.weight"] = np.ones(65, np.float32)
    else:
        stored[name] = stored[name].astype(np.float32)
    write_tensors(tmp_path / WEIGHTS_FILE, stored)
    with pytest.raises(CheckpointError, match="its tensors are not those") as caught:
        network(tmp_path, shape)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_other_shapes_are_left_to_the_graph(tmp_path):
    shape = config()
    save(tmp_path, shape)
    places = tensor_places(tmp_path / WEIGHTS_FILE)
    assert compiled.supports(shape, places)
    for other in ({"hidden": 96, "heads": 3}, {"inner": 72}, {"heads": 4}):
        assert not compiled.supports(config(**other), places)


def test_the_variable_chooses_the_instruction_set(monkeypatch):
    monkeypatch.delenv("RETRIEVAL_ISA", raising=False)
    assert compiled.chosen() == ISAS[0] and compiled.obstacle() is None
    for name in ISAS:
        monkeypatch.setenv("RETRIEVAL_ISA", name)
        assert compiled.chosen() == name and compiled.obstacle() is None
    for name in ("portable", "numpy", *set(compiled.KNOWN) - set(ISAS)):
        monkeypatch.setenv("RETRIEVAL_ISA", name)
        assert compiled.chosen() is None and compiled.obstacle() == f"RETRIEVAL_ISA={name}"


def test_an_instruction_set_that_is_not_here_is_refused(tmp_path):
    shape = config()
    save(tmp_path, shape)
    with pytest.raises(CheckpointError, match="no instruction set 'mmx' here"):
        network(tmp_path, shape, isa="mmx")
