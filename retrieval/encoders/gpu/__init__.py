"""The encoder's own GPU kernels, in Triton: attention, rotary positions, norms and GeGLU.

Its modules import triton, so they are imported where `retrieval.gpu.triton_obstacle` says that
they can be used. Each is held to plain torch by tests/encoders/test_gpu_kernels. They compute no
gradients.
"""
