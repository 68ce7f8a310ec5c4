"""Builds on S3 on whose way something befalls requests: nothing is lost, nothing appears.

As in `kills`, a trial takes a collection that holds `BEFORE` and makes it hold `AFTER`. What passes
must not keep a build from its end; what lasts ends it by one line, and the same build, run again
where nothing befalls it, comes to what one without a fault does.
"""

from __future__ import annotations

import logging
import random
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrieval.errors import StorageError
from retrieval.sharded import Incoming, ShardedIndex
from retrieval.sharded.changes import Changes
from retrieval.sharded.storage import ObjectStorage

from ..index.fake_encoder import FakeEncoder
from ..soak.stages import Stage, Tally
from .faulty_s3 import LASTING, PASSING, FaultyS3, Kind
from .kills import AFTER, BEFORE, SHARDS, Answers, difference
from .samples import QUERIES, shown

KINDS: tuple[Kind, ...] = (*PASSING, *LASTING)
BUCKET = "tests"


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """The options of a server that speaks S3, with the bucket `tests`."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    running = ThreadedMotoServer(port=0, verbose=False)
    running.start()
    try:
        _, port = running.get_host_and_port()
        keys = {"aws_access_key_id": "tests", "aws_secret_access_key": "tests"}
        endpoint, region = f"http://127.0.0.1:{port}", "us-east-1"
        client = boto3.client("s3", endpoint_url=endpoint, region_name=region, **keys)
        client.create_bucket(Bucket=BUCKET)
        yield {"endpoint": endpoint, "region": region, **keys}
    finally:
        running.stop()


class Trials:
    """Trials against one server, and the answers of builds without a fault."""

    def __init__(self, options: Mapping[str, str], scratch: Path) -> None:
        self._options, self._scratch = dict(options), scratch
        url = self._started()
        self.expected = {2: self._answers(url)}  # by generation
        with FaultyS3(options, "clock of the storage", 0) as counted:
            self._update(url, counted.options)
            self.expected[3] = self._answers(url)
            self._compact(url, counted.options)
            self.requests = counted.requests
        self.expected[4] = self._answers(url)

    def run(self, number: int, kind: Kind, tally: Tally) -> None:
        """The trial of this number."""
        drawn = random.Random(number)
        url = self._started()
        first = drawn.randint(1, self.requests - 1)
        with FaultyS3(self._options, kind, number, first) as way:
            try:
                self._update(url, way.options)
                self._compact(url, way.options)
                outcome = "done"
            except StorageError as error:
                outcome = str(error)
        wrong = self._wrong(url, kind, outcome)
        if wrong:
            tally.fault(number, f"{kind} ({outcome}): {wrong}")
        else:
            ending = "it was done" if outcome == "done" else "one line, and it went on"
            tally.note(f"{kind}: {ending}")
        shutil.rmtree(self._cache(url))

    def _wrong(self, url: str, kind: Kind, outcome: str) -> str:
        if "\n" in outcome:
            return "its error is no one line"
        if kind in PASSING and outcome != "done":
            return "it passes, and the build ended by it"
        found = self._answers(url)
        if wrong := difference(found, self.expected[found["generation"]]):
            return f"what was committed is not there whole: {wrong}"
        if outcome == "done" and found["generation"] != 4:
            return f"it was done, and shows generation {found['generation']}"
        self._update(url, self._options)
        self._compact(url, self._options)
        if wrong := difference(self._answers(url), self.expected[4]):
            return f"run again, it comes to something else: {wrong}"
        left = [one.name for one in ObjectStorage(url, self._options).objects("building")]
        return f"it leaves {left[:3]}" if left else ""

    def _started(self) -> str:
        """The URL of a new collection that trials begin with."""
        url = f"s3://{BUCKET}/{uuid.uuid4().hex}"
        with ShardedIndex.create(
            url,
            shards=SHARDS,
            encoder=FakeEncoder(),
            cache=self._cache(url),
            options=self._options,
        ) as made:
            made.add(BEFORE)
        return url

    def _cache(self, url: str) -> Path:
        return self._scratch / url.rpartition("/")[2]

    def _opened(self, url: str, options: Mapping[str, str], cache: str) -> ShardedIndex:
        place = self._cache(url) / cache
        return ShardedIndex.open(url, encoder=FakeEncoder(), cache=place, options=options)

    def _update(self, url: str, options: Mapping[str, str]) -> None:
        with self._opened(url, options, "builder") as index:
            index.change(Changes(map(Incoming, AFTER), mirror=True))

    def _compact(self, url: str, options: Mapping[str, str]) -> None:
        with self._opened(url, options, "builder") as index:
            index.compact()

    def _answers(self, url: str) -> Answers:
        """What a reader on another machine finds."""
        with self._opened(url, self._options, "reader") as index:
            ids = sorted({one.id for one in (*BEFORE, *AFTER)})
            documents: dict[str, Any] = {id: index.get(id) for id in ids}
            return {
                "generation": index.generation,
                "count": len(index),
                "documents": documents,
                "rankings": [shown(index.search(query, k=20)) for query in QUERIES],
            }


def run(numbers: range, tally: Tally, scratch: Path, kinds: Sequence[Kind] = KINDS) -> None:
    """Run trials, of one kind after another."""
    with s3_server() as options:
        trials = Trials(options, scratch)
        for number in numbers:
            trials.run(number, kinds[number % len(kinds)], tally)


STAGE = Stage(
    "shards on s3",
    "a build of a collection in shards on S3, where requests fail, are throttled, wait or are cut "
    "off, credentials expire, and clocks differ: it is done, or says so in one line and goes on",
    120,
    8,
    run,
)
