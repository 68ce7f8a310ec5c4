"""What goes to a device and comes back: in order, in float32, made ready beside the work."""

import threading

import numpy as np
import pytest
import torch

from retrieval.encoders.runtimes.transfers import Returned, copying_stream, made_ahead, sent

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(params=DEVICES)
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device(request.param)


def test_numbers_arrive(device):
    array = np.arange(5)
    tensor = sent(array, device)
    assert tensor.device.type == device.type and tensor.tolist() == [0, 1, 2, 3, 4]
    assert sent(np.zeros(0, np.int64), device).shape == (0,)


def test_vectors_come_back_in_order_and_in_float32(device):
    returned = Returned(device, copying_stream(device))
    handed = []
    for number in range(3):
        dense = torch.full((2, 4), number, dtype=torch.bfloat16, device=device)
        returned.take((dense, None), handed.append)
        del dense
    assert not handed  # nobody has waited yet
    returned.wait()
    assert [float(dense[0, 0]) for dense, _ in handed] == [0, 1, 2]
    assert all(dense.dtype == np.float32 and nothing is None for dense, nothing in handed)
    returned.wait()
    assert len(handed) == 3


def test_the_next_is_made_while_the_one_before_is_used():
    made = [threading.Event() for _ in range(4)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    for number in (found := made_ahead(items())):
        if number < 3:
            assert made[number + 1].wait(30)
        if number < 2:
            assert not made[number + 2].is_set()  # no more than one ahead
    assert list(found) == []
    assert list(made_ahead(iter([]))) == []


def test_what_goes_wrong_in_the_thread_is_told():
    def items():
        yield 1
        raise ValueError("a bad text")

    found = made_ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="a bad text"):
        next(found)


def test_who_stops_early_leaves_no_thread_behind():
    before = threading.active_count()
    found = made_ahead(iter(range(1000)))
    assert next(found) == 0
    found.close()
    assert threading.active_count() == before
