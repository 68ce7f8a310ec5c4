"""`retrieval` in a process of its own, with an encoder that loads at once.

    python with_fake_encoder.py ARGUMENTS...

FAKE_DELAY is how many seconds a batch takes; with FAKE_COMMITS set, every document is committed.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import retrieval.encoders
from retrieval.cli import main
from retrieval.index.writing import writer
from retrieval.types import Embeddings
from tests.index.fake_encoder import FakeEncoder


class SlowEncoder(FakeEncoder):
    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        time.sleep(float(os.environ.get("FAKE_DELAY", "0")))
        return super().encode_documents(texts)


# A shell that starts the tests in the background hands down that SIGINT is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
retrieval.encoders.load_encoder = lambda source=None, *, device=None: SlowEncoder()
if "FAKE_COMMITS" in os.environ:
    writer.COMMIT_SECONDS = 0.0
main()
