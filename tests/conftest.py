"""What all tests share.

One thread for each library of numbers, set before the first of them is imported: the tests' models
are tiny, and threads that wait for each other take several times as long as one, above all beside
other work on the same cores. And no deadline for an example of hypothesis: how long it takes says
what else the machine does.
"""

import os

from hypothesis import settings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Read when Haystack is imported: nothing is to be sent, nor written into the home folder.
os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
os.environ.setdefault("HAYSTACK_AUTO_TRACE_ENABLED", "False")

settings.register_profile("tests", deadline=None)
settings.load_profile("tests")
