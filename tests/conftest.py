"""One thread for each library of numbers, set before the first of them is imported.

The tests' models are tiny. Threads that wait for each other take several times as long as one,
above all beside other work on the same cores.
"""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
