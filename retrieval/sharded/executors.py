"""Running the tasks of a build: in this process, in several on this machine, or on a Ray
cluster."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from retrieval.errors import InputError, StorageError
from retrieval.malloc import map_large_blocks
from retrieval.store import Settings
from retrieval.threads import share_cores
from retrieval.types import Encoder

Task = TypeVar("Task")
Result = TypeVar("Result")


def _begin(workers: int) -> None:
    """Begin one of this many processes that build."""
    share_cores(workers)
    map_large_blocks()


ENDED = "a process that worked on the build was ended; what others have sent is kept; run it again"


class Executor(Protocol):
    """Runs a function on independent tasks, which can be repeated at any time.

    Attributes:
        here: whether tasks run in this process, so that objects need not be sent to another.
        shares_disk: whether tasks see this machine's disk.
    """

    here: bool
    shares_disk: bool

    def run(
        self, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Result]]:
        """Yield results as they are done, each with the number of its task.

        Raises:
            RetrievalError: raised by the function; no further task is started.
            StorageError: the process of a task died too often.
        """
        ...

    def encoder(self, settings: Settings) -> Encoder | None:
        """The encoder for tasks; None if each loads the one that the collection's settings name.

        Raises:
            InputError: the requested kind is not available.
        """
        ...


class InProcess:
    """One task after another, in this process."""

    here = True
    shares_disk = True

    def run(
        self, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Result]]:
        """See `Executor`."""
        for number, task in enumerate(tasks):
            yield number, function(task)

    def encoder(self, settings: Settings) -> Encoder | None:
        """See `Executor`."""
        return None


class Processes(AbstractContextManager["Processes"]):
    """Several processes on this machine, reused between calls."""

    here = False
    shares_disk = True

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __exit__(self, *_: object) -> None:
        """Wait for running tasks, and stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def run(
        self, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Result]]:
        """See `Executor`."""
        if self._pool is None:
            # Forking a process with threads is not safe.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self._workers, context, initializer=_begin, initargs=(self._workers,)
            )
        waiting: dict[Future[Result], int] = {}
        try:
            for number, task in enumerate(tasks):
                waiting[self._pool.submit(function, task)] = number
            for one in as_completed(waiting):
                yield waiting[one], one.result()
        except BrokenProcessPool as error:
            self._pool = None
            raise StorageError(ENDED) from error
        finally:
            for one in waiting:
                one.cancel()

    def encoder(self, settings: Settings) -> Encoder | None:
        """See `Executor`."""
        return None


def executor_for(
    workers: int, ray: str | None, *, on_gpus: bool = False
) -> AbstractContextManager[Executor]:
    """The executor for a build; stopped when the block is left.

    Args:
        workers: number of processes on this machine; 1 is this one.
        ray: the address of a Ray cluster, or `local` to start one here; None for none.
        on_gpus: whether actors on the cluster's GPUs encode for the tasks.

    Raises:
        InputError: both are given, or `workers` is below 1; the cluster cannot be reached; GPUs are
            requested without a cluster.
        MissingDependency: Ray is not installed.
    """
    if workers < 1:
        raise InputError(f"workers={workers} must be at least 1")
    if ray is not None:
        from retrieval.sharded.ray_executor import LOCAL, ray_cluster

        if workers > 1 and ray != LOCAL:
            raise InputError(
                f"workers={workers} are processes on this machine, but {ray} is a cluster, which "
                "has workers of its own; leave one of them out"
            )
        return ray_cluster(ray, workers if workers > 1 else None, on_gpus=on_gpus)
    if on_gpus:
        raise InputError(
            "--encode-on gpu sends texts to actors of a Ray cluster; name one with --ray ("
            "local for this machine)"
        )
    return nullcontext(InProcess()) if workers == 1 else Processes(workers)
