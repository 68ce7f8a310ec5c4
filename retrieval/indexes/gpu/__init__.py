"""Late interaction on a GPU, in Triton, over arrays that lie there.

What each function computes is defined by the one of the same name in
`retrieval.indexes.kernels.reference`, and held to it by tests/indexes/test_gpu_kernels. The
modules import triton, so they are imported where `retrieval.gpu.triton_obstacle` finds nothing.
"""
