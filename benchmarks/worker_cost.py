"""What worker processes cost: a processor's seconds for files parsed in one, and in this process.

    python benchmarks/worker_cost.py SUFFIX FOLDER [FOLDER ...]

Every file of that suffix is parsed by its format: in this process, in a worker, and in this process
again. Seconds of both processes are added.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from retrieval.documents import workers
from retrieval.documents.formats import Parsed, Source, format_of
from retrieval.errors import DocumentError


def by_name(data: bytes, source: Source) -> list[Parsed]:
    """What the format of a file's name makes of it."""
    made = format_of(source.id, data[:8192]).parse(data, source)
    return [made] if isinstance(made, Parsed) else list(made)


def seconds() -> float:
    """A processor's, of this process and of all workers so far."""
    workers.stop()  # a child's seconds count once it has ended
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def parse(files: list[tuple[str, bytes]], *, in_worker: bool) -> float:
    """Seconds that files take."""
    from worker_cost import by_name  # by this name a worker finds it

    before = seconds()
    for name, data in files:
        try:
            if in_worker:
                workers.parse(by_name, data, Source(name))
            else:
                by_name(data, Source(name))
        except DocumentError:
            pass
    return seconds() - before


def main() -> None:
    """Print the seconds."""
    suffix, *folders = sys.argv[1:]
    paths = [path for folder in folders for path in sorted(Path(folder).rglob(f"*{suffix}"))]
    files = [(path.name, path.read_bytes()) for path in paths if path.is_file()]
    size = sum(len(data) for _, data in files) / 1e6
    parse(files[:20], in_worker=False)
    took = [parse(files, in_worker=in_worker) for in_worker in (False, True, False)]
    here = (took[0] + took[2]) / 2
    print(
        f"{len(files):,} files, {size:.1f} MB: here {took[0]:.2f} and {took[2]:.2f} s, "
        f"in a worker {took[1]:.2f} s ({took[1] / here - 1:+.1%})"
    )


if __name__ == "__main__":
    main()
