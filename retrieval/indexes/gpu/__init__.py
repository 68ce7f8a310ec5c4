"""Late interaction on a GPU, in Triton, over arrays in GPU memory.

Each function computes what the function of the same name in `retrieval.indexes.kernels.reference`
defines; tests/indexes/test_gpu_kernels compares them. The modules import triton, so import them
only where `retrieval.gpu.triton_obstacle` returns None.
"""
