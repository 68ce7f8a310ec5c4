"""What worker processes cost: CPU seconds of parsing files in a worker, and in this process.

    python benchmarks/worker_cost.py SUFFIX FOLDER [FOLDER ...]

Every file of that suffix is parsed by its format: in this process, in a worker, and in this process
again. CPU seconds of both processes are added.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from timing import cpu_seconds

from retrieval.documents import workers
from retrieval.documents.formats import Parsed, Source, format_of
from retrieval.errors import DocumentError


def parse_file(data: bytes, source: Source) -> list[Parsed]:
    """The documents that the format of a file's name parses."""
    documents = format_of(source.id, data[:8192]).parse(data, source)
    return [documents] if isinstance(documents, Parsed) else list(documents)


def total_cpu_seconds() -> float:
    """CPU seconds of this process and of all workers so far."""
    workers.stop()  # a child's time counts once it has ended
    return cpu_seconds() + cpu_seconds(resource.RUSAGE_CHILDREN)


def time_parsing(files: list[tuple[str, bytes]], *, in_worker: bool) -> float:
    """CPU seconds of parsing the files."""
    from worker_cost import parse_file  # not __main__'s, which a worker could not import

    started = total_cpu_seconds()
    for name, data in files:
        try:
            if in_worker:
                workers.parse(parse_file, data, Source(name))
            else:
                parse_file(data, Source(name))
        except DocumentError:
            pass
    return total_cpu_seconds() - started


def main() -> None:
    """Print the CPU seconds."""
    suffix, *folders = sys.argv[1:]
    paths = [path for folder in folders for path in sorted(Path(folder).rglob(f"*{suffix}"))]
    files = [(path.name, path.read_bytes()) for path in paths if path.is_file()]
    size = sum(len(data) for _, data in files) / 1e6
    time_parsing(files[:20], in_worker=False)
    cpu_s = [time_parsing(files, in_worker=in_worker) for in_worker in (False, True, False)]
    in_process = (cpu_s[0] + cpu_s[2]) / 2
    print(
        f"{len(files):,} files, {size:.1f} MB: here {cpu_s[0]:.2f} and {cpu_s[2]:.2f} s, "
        f"in a worker {cpu_s[1]:.2f} s ({cpu_s[1] / in_process - 1:+.1%})"
    )


if __name__ == "__main__":
    main()
