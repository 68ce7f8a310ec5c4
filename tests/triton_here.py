"""Where tests of the Triton kernels run: on a GPU, or in Triton's interpreter on the CPU."""

import pytest
import torch

from retrieval.gpu import triton_obstacle

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
OBSTACLE = triton_obstacle(DEVICE.type)

needs_triton = pytest.mark.skipif(
    OBSTACLE is not None, reason=f"{OBSTACLE}; on a CPU set TRITON_INTERPRET=1"
)
# What the interpreter does to numpy, not we.
ignore_conversions = pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")
