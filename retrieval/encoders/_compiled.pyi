"""The compiled module (native/network/module.c). It raises ValueError where a size does not fit."""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

@final
class _Network: ...

def available() -> list[str]: ...
def network(
    isa: str,
    sizes: tuple[int, int, int, int, int, int, int, int, int, int, int],
    epsilon: float,
    local: bytes,
    tensors: tuple[NDArray[Any], ...],
    /,
) -> _Network: ...
def forward(
    network: _Network, ids: NDArray[np.int64], /, *angles_and_outputs: NDArray[np.float32]
) -> None: ...
def hidden(
    network: _Network, ids: NDArray[np.int64], /, *angles_and_outputs: NDArray[np.float32]
) -> None: ...
