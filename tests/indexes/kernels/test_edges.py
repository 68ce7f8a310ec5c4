"""No kernel touches a byte outside its arrays, and none takes arrays that do not fit together."""

import ctypes
import mmap
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.indexes.kernels import reference
from tests.indexes.kernels.cases import ISAS, calls, native, using

PROT_NONE = 0
PAGE = mmap.PAGESIZE

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def guarded(array: NDArray[Any]) -> NDArray[Any]:
    """A copy whose last byte is the last before a page that nobody may read or write."""
    size = -(-max(array.nbytes, 1) // PAGE) * PAGE
    memory = mmap.mmap(-1, size + PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert _libc.mprotect(start + size, PAGE, PROT_NONE) == 0
    copy = np.frombuffer(memory, array.dtype, array.size, size - array.nbytes).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("d", "tokens"), [(8, 2), (24, 9), (48, 14), (96, 71), (128, 5), (256, 66)]
)
def test_arrays_may_end_where_memory_ends(isa: str, d: int, tokens: int) -> None:
    for name, arguments, out, bounds in calls(d, tokens):
        expected = out.copy()
        getattr(reference, name)(*arguments, expected, *bounds)
        held = [guarded(x) if isinstance(x, np.ndarray) else x for x in arguments]
        result = guarded(np.zeros_like(out))
        with using(isa):
            getattr(native, name)(*held, result, *bounds)
        assert result.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", [np.int32, np.uint16])
def test_scores_may_end_where_memory_ends(isa: str, kind: type[np.generic]) -> None:
    for n in (1, 31, 33, 1000):
        scores = guarded(np.arange(n).astype(kind))
        with using(isa):
            assert native.top(scores, 2).tolist() == [n - 1, n - 2][:n]


@pytest.mark.parametrize("isa", ISAS)
def test_only_the_part_is_written(isa: str) -> None:
    for name, arguments, out, bounds in calls(40, 30):
        if not bounds or len(out) < 2:
            continue
        result = np.zeros_like(out)
        result.view(np.uint8)[...] = 0xA5
        before = result.copy()
        with using(isa):
            getattr(native, name)(*arguments, result, 1, 2)
        kept = (slice(None), [0, 2]) if name == "max_sim" else np.r_[0, 2 : len(out)]
        assert result[kept].tobytes() == before[kept].tobytes(), name


WRONG = [
    ("max_sim", 0, np.zeros((9, 12), np.int8), "multiple of 8"),
    ("max_sim", 0, np.zeros((8, 16), np.int8), "do not fit"),
    ("max_sim", 0, np.zeros((9, 16), np.uint8), "argument 1 has format B and 2 dimensions"),
    ("max_sim", 1, np.zeros((9, 1), np.float32), "argument 2 has format f and 2 dimensions"),
    ("max_sim", 0, np.zeros((9, 32), np.int8)[:, ::2], "contiguous"),
    ("max_sim", 2, np.zeros(0, np.int64), "do not fit"),
    ("max_sim", 2, np.array([0, 5, 4, 9]), "outside its array"),
    ("max_sim", 2, np.array([0, 5, 9, 10]), "outside its array"),
    ("max_sim", 2, np.array([-1, 0, 1, 2]), "outside its array"),
    ("max_sim", 3, np.array([0, 1, 3]), "outside its array"),
    ("max_sim", 3, np.array([0, 1, -1]), "outside its array"),
    ("max_sim", 6, np.array([0, 3, 20]), "rising"),
    ("max_sim", 6, np.array([0, 3, 2]), "rising"),
    ("max_sim", 6, np.array([-1, 3, 9]), "rising"),
    ("max_sim_compressed", 0, np.full(9, 38, np.uint16), "outside its array"),
    ("max_sim_compressed", 1, np.zeros((9, 7), np.uint8), "do not fit"),
    ("max_sim_compressed", 3, np.full(38, 3, np.uint8), "do not fit"),
    ("max_sim_compressed", 4, np.zeros((3, 8), np.int8), "do not fit"),
    ("decode", 0, np.full(9, 38, np.uint16), "outside its array"),
    ("decode", 1, np.zeros((8, 4), np.uint8), "do not fit"),
    ("encode", 1, np.full(9, 38, np.uint16), "outside its array"),
    ("encode", 4, np.zeros((3, 510), np.uint8), "do not fit"),
    ("encode", 5, 3, "do not fit"),
    ("nearest", 1, np.zeros((0, 16), np.int8), "do not fit"),
    ("nearest", 2, np.zeros(38, np.int32), "do not fit"),
    ("nearest_listed", 0, np.zeros((9, 12), np.int8), "multiple of 8"),
    ("nearest_listed", 0, np.zeros((8, 16), np.int8), "do not fit"),
    ("nearest_listed", 1, np.array([0, 1, 9]), "do not fit"),
    ("nearest_listed", 1, np.array([0, 1, 1, 10]), "not inside"),
    ("nearest_listed", 1, np.array([0, 2, 1, 9]), "not rising"),
    ("nearest_listed", 2, np.full((3, 11), 37, np.uint16), "outside its array"),
    ("nearest_listed", 2, np.zeros((3, 0), np.uint16), "do not fit"),
    ("nearest_listed", 4, np.zeros(38, np.int32), "do not fit"),
    ("centroid_table", 1, np.zeros((33, 16), np.int8), "do not fit"),
    ("centroid_table", 1, np.zeros((16, 16), np.int8), "do not fit"),
    ("centroid_table", 2, np.zeros(31, np.float32), "do not fit"),
    ("centroid_table", 3, np.zeros(33, np.float32), "do not fit"),
    ("centroid_max", 0, np.zeros((37, 40), np.uint8), "do not fit"),
    ("centroid_max", 1, np.full(9, 65_535, np.uint16), "outside its array"),
    ("centroid_max", 3, np.array([0, 1, 3]), "outside its array"),
    ("units", 0, np.zeros((9, 12), np.int8), "multiple of 8"),
    ("units", 1, np.ones(8, np.float32), "do not fit"),
    ("units", 2, np.ones(24, np.float32), "do not fit"),
    ("units", 3, np.ones((16, 24), np.float32), "do not fit"),
    ("units", 4, np.ones(2, np.float32), "do not fit"),
    ("ward", 0, np.zeros((9, 12), np.int8), "multiple of 8"),
    ("ward", 0, np.zeros((8, 16), np.int8), "do not fit"),
    ("ward", 1, np.array([0, 1, 2]), "do not fit"),
    ("ward", 1, np.array([0, 1, 2, 10]), "outside its array"),
    ("ward", 1, np.array([0, 2, 1, 9]), "outside its array"),
    ("ward", 1, np.array([-1, 1, 2, 9]), "outside its array"),
    ("ward", 1, np.array([0, 0, 2, 9]), "outside its array"),
    ("ward", 1, np.array([1, -(2**63), 2, 9]), "outside its array"),
    ("ward", 1, np.array([-2, 2**63 - 1, 2, 9]), "outside its array"),
    ("ward", 3, np.zeros(2, np.float32), "do not fit"),
    ("ward", 2, np.array([1, 1, 0]), "outside its array"),
    ("ward", 2, np.array([1, 1, 8]), "outside its array"),
    ("probe", 0, np.zeros((4, 48), np.uint8), "do not fit"),
    ("list_sums", 1, np.array([[2, 1, 2, 4]]), "outside its array"),
    ("list_sums", 1, np.array([[0, 2, 2, 5]]), "outside its array"),
    ("list_sums", 2, 1, "do not fit"),
    ("list_sums", 3, np.array([[3, 0]], np.int32), "outside its array"),
    ("list_sums", 3, np.array([[-1, 0]], np.int32), "outside its array"),
]


@pytest.mark.parametrize(("name", "place", "value", "message"), WRONG)
def test_what_does_not_fit_is_refused(name: str, place: int, value: Any, message: str) -> None:
    arguments, out, bounds = next(call[1:] for call in calls(16, 9) if call[0] == name)
    changed = [*arguments[:place], value, *arguments[place + 1 :]]
    for isa in ISAS:
        with using(isa):
            with pytest.raises((ValueError, BufferError), match=message):
                getattr(native, name)(*changed, out, *bounds)
            getattr(native, name)(*arguments, out, *bounds)


def test_a_part_outside_the_result_is_refused() -> None:
    for name, arguments, out, bounds in calls(16, 9):
        if not bounds:
            continue
        for first, last in [(0, bounds[1] + 1), (2, 1)]:
            with pytest.raises(ValueError, match="the part is not inside"):
                getattr(native, name)(*arguments, out, first, last)
        with pytest.raises(OverflowError):
            getattr(native, name)(*arguments, out, -1, 1)
        with pytest.raises(ValueError, match="too few"):
            getattr(native, name)(*arguments, out)
        with pytest.raises(ValueError, match="too many"):
            getattr(native, name)(*arguments, out, 0, 1, 2)


def test_a_result_that_cannot_be_written_is_refused() -> None:
    for name, arguments, out, bounds in calls(16, 9):
        out.flags.writeable = False
        with pytest.raises((ValueError, BufferError), match=re.compile("read-?only|writ", re.I)):
            getattr(native, name)(*arguments, out, *bounds)


def test_an_array_at_an_odd_address_is_refused() -> None:
    memory = np.zeros(2 * 16 * 4 + 1, np.uint8)
    out = np.frombuffer(memory, np.int32, 32, 1).reshape(2, 16)
    with pytest.raises(ValueError, match=r"aligned|format"):
        native.probe(np.zeros((16, 16), np.uint8), out, 0, 2)


def test_what_is_no_array_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes-like"):
        native.probe([[1]], np.empty((1, 1), np.int32), 0, 1)  # type: ignore[arg-type]
