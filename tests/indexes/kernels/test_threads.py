"""Threads that call kernels at once answer as one; `make sanitize` looks for races in it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from retrieval.indexes.kernels import reference
from tests.indexes.kernels.cases import ISAS, calls, native, using


@pytest.mark.parametrize("isa", ISAS)
def test_threads_fill_parts_of_one_result(isa: str) -> None:
    for name, arguments, out, bounds in calls(48, 71):
        expected = out.copy()
        getattr(reference, name)(*arguments, expected, *bounds)
        parts = [(i, i + 1) for i in range(*bounds)] if bounds else [()] * 8
        results = [out.copy()] * len(parts) if bounds else [out.copy() for _ in parts]
        kernel = getattr(native, name)
        with using(isa), ThreadPoolExecutor(8) as pool:
            calls_made = [
                pool.submit(kernel, *arguments, result, *part)
                for result, part in zip(results, parts, strict=True)
            ]
            for made in calls_made:
                made.result()
        assert {result.tobytes() for result in results} == {expected.tobytes()}, name
