"""Planning a build: which shards are written, and the codec that they will share.

All are written at the same time. One of them may train a codec; shards that finish before it keep
token vectors exact, and adopt the codec in a second task.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import replace

from retrieval.sharded.changes import Changes
from retrieval.sharded.executors import Executor
from retrieval.sharded.manifest import CodecRecord, Manifest
from retrieval.sharded.partition import shard_of
from retrieval.sharded.place import Place
from retrieval.sharded.spool import Spooled
from retrieval.sharded.writing import ShardResult, ShardTask

Write = Callable[[ShardTask], ShardResult]
Progress = Callable[[int, int], object]

_PASSAGE_BYTES = 512
"""About how many bytes of text a passage has."""


def planned(
    place: Place,
    shared: Place,
    base: Manifest,
    changes: Changes,
    found: Spooled,
    records: str,
    memory: int,
) -> list[ShardTask]:
    """A task for each shard to write; first the one that the others wait for at the end.

    Args:
        place: the collection's place.
        shared: where the spooled documents are.
        base: the present manifest.
        changes: the changes to make.
        found: the spooled documents.
        records: prefix of the names of objects that record finished shards.
        memory: bytes that compressing token vectors may use, in each process.
    """
    count = len(base.shards)
    deleted: dict[int, list[str]] = {}
    for id in changes.delete:
        deleted.setdefault(shard_of(id, count), []).append(id)
    every = changes.mirror or changes.compact
    changed = {
        number
        for number, shard in enumerate(base.shards)
        if number in found.documents or (shard.files is not None and (every or number in deleted))
    }
    trainer = _trainer(base, found, changed)
    unreadable = tuple(changes.unreadable())
    request = _digest(base, changes, found, unreadable)
    return [
        ShardTask(
            place=place,
            number=number,
            base=base.shards[number] if base.shards[number].files is not None else None,
            settings=base.settings,
            codec=base.codec,
            trains=number == trainer,
            trained=None if trainer is None else f"{records}{request}/{trainer}.json",
            changed=number in changed,
            spool=shared,
            sections=tuple(found.sections.get(number, ())),
            mirror=changes.mirror,
            unreadable=unreadable,
            delete=tuple(deleted.get(number, ())),
            compact=changes.compact,
            record=f"{records}{request}/{number}.json",
            memory=memory,
        )
        for number in sorted(range(count), key=lambda one: (one != trainer, one))
    ]


def _trainer(base: Manifest, found: Spooled, changed: Set[int]) -> int | None:
    """The shard that may train the codec, if there is none yet: the one with most text."""
    if base.codec is not None or base.settings.token_dim is None or not changed:
        return None

    def size(number: int) -> int:
        new = sum(section.size for section in found.sections.get(number, ()))
        return base.shards[number].passages * _PASSAGE_BYTES + new

    return max(changed, key=lambda one: (size(one), -one))


def _digest(base: Manifest, changes: Changes, found: Spooled, unreadable: Sequence[str]) -> str:
    """A digest that identifies the build."""
    told = [base.generation, found.digest, changes.mirror, changes.compact]
    named = [list(changes.delete), list(unreadable), repr(base.settings)]
    shards = [shard.files for shard in base.shards]
    return hashlib.sha256(json.dumps([*told, *named, shards]).encode()).hexdigest()[:32]


def written(
    tasks: Sequence[ShardTask], write: Write, executor: Executor, progress: Progress | None = None
) -> dict[int, ShardResult]:
    """Run the tasks; their results by shard.

    Args:
        tasks: see `planned`.
        write: runs one task.
        executor: runs `write` on the tasks.
        progress: called with the number of shards written, and the number to write.
    """
    results: dict[int, ShardResult] = {}
    done = 0

    def run(several: Sequence[ShardTask]) -> None:
        nonlocal done
        whole = done + len(several)
        if progress is not None:
            progress(done, whole)
        for at, result in executor.run(write, several):
            number = several[at].number
            results[number] = _followed(results.get(number), result)
            done += 1
            if progress is not None:
                progress(done, whole)

    run([task for task in tasks if task.changed])
    codec = next((results[task.number].codec for task in tasks if task.trains), None)
    if codec is not None:
        left = [_taking(task, results.get(task.number), codec) for task in tasks]
        run([task for task in left if task is not None])
    return results


def _taking(task: ShardTask, result: ShardResult | None, codec: CodecRecord) -> ShardTask | None:
    """The task in which a shard with exact token vectors adopts the codec; None if it has it."""
    base = task.base if result is None else result.record
    if base is None or base.files is None or (result is not None and result.codec == codec):
        return None
    return replace(
        task,
        base=base,
        codec=codec,
        trains=False,
        trained=None,
        sections=(),
        mirror=False,
        delete=(),
        compact=False,
        record=task.record.removesuffix(".json") + "-codec.json",
    )


def _followed(before: ShardResult | None, after: ShardResult) -> ShardResult:
    """The combined result of two successive tasks of a shard."""
    if before is None:
        return after
    return ShardResult(
        after.record,
        after.codec,
        dict(Counter(before.counts) + Counter(after.counts)),
        before.sent + after.sent,
        (*before.problems, *after.problems),
    )
