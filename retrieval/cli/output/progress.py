"""How far a long job is, on standard error, so that output stays clean.

On a terminal it is a bar; elsewhere, as in a log file, a line now and then.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from retrieval.cli.output.amounts import count, duration
from retrieval.service.printable import safe

if TYPE_CHECKING:
    from retrieval.eval import EvaluateProgress
    from retrieval.sync import SyncProgress

_NOUNS = {"searching": "queries", "encoding": "passages"}

EVERY_S = 10.0
"""Seconds between two lines where there is no terminal; a job that is shorter says nothing."""

STILL_S = 60.0
"""Seconds after which a line is repeated: who watches a log sees that the job is alive."""


@contextmanager
def indexing_bar() -> Iterator[Callable[[SyncProgress], None]]:
    """A bar for `sync`."""
    with bar_of("looking for changes") as show:
        yield lambda now: show(describe(now), now.bytes, now.bytes_total)


@contextmanager
def measuring_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for `Index.measure`."""
    with bar_of("reading") as show:
        yield lambda what, done, of: show(f"{what} {done:,}/{of:,} {_NOUNS[what]}", done, of)


@contextmanager
def compacting_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar for `Index.compact`."""
    with bar_of("merging segments") as show:
        yield lambda done, of: show(compressing(done, of), done, of)


@contextmanager
def evaluating_bar() -> Iterator[Callable[[EvaluateProgress], None]]:
    """A bar for `evaluate`."""
    with bar_of("reading the collections") as show:
        yield lambda now: show(evaluating(now), now.done, now.of)


@contextmanager
def training_bar() -> Iterator[Callable[[str, int, int, float | None], None]]:
    """A bar for `adapt`."""
    with bar_of("reading the data") as show:
        yield lambda what, done, of, left: show(training(what, done, of, left), done, of)


@contextmanager
def counting_bar(doing: str, noun: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for what is counted."""
    with bar_of(doing) as show:
        yield lambda done, of: show(f"{doing} {done:,}/{count(of, noun)}", done, of)


@contextmanager
def bar_of(first: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar that is told what is going on, how much of it is done, and of how much.

    Where standard error is no terminal it is a line every `EVERY_S` seconds.
    """
    if not sys.stderr.isatty():
        with _lines(first) as tell:
            yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    # Names of collections and systems are the user's: square brackets in them are no markup.
    said = TextColumn("{task.description}", markup=False)
    with Progress(
        SpinnerColumn(), BarColumn(bar_width=24), said, console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(first, total=None)
        yield lambda what, done, of: bar.update(
            task, description=what, total=of or None, completed=done
        )


@contextmanager
def _lines(first: str) -> Iterator[Callable[[str, int, int], None]]:
    """Lines from a thread of their own, so that a step that tells nothing for long shows, too."""
    now = (first, 0, 0)
    over = threading.Event()
    started = time.monotonic()

    def tell(what: str, done: int, of: int) -> None:
        nonlocal now
        now = (what, done, of)

    def write() -> None:
        said, since = None, 0.0
        while not over.wait(EVERY_S):
            seconds = time.monotonic() - started
            if now == said and seconds - since < STILL_S:
                continue
            said, since = now, seconds
            try:
                sys.stderr.write(f"{line(*now, seconds)}\n")
                sys.stderr.flush()
            except (OSError, ValueError):  # nobody reads it any more; the job goes on
                return

    writer = threading.Thread(target=write, name="progress", daemon=True)
    writer.start()
    try:
        yield tell
    finally:
        over.set()
        writer.join()


def line(what: str, done: int, of: int, seconds: float) -> str:
    """`2 min 10 s  37 %  scifact: late, indexing 1,920/5,183  3 min 40 s left`."""
    share = f"{100 * min(done, of) // of} %  " if of else ""
    return f"{duration(seconds)}  {share}{safe(what)}"


def compressing(done: int, of: int) -> str:
    """`compressing 1,000/5,000 token vectors`."""
    return f"compressing {done:,}/{count(of, 'token vector')}"


def evaluating(now: EvaluateProgress) -> str:
    """`scifact: late, indexing 120/5,183  4 min left`."""
    left = now.seconds_left
    return now.what if left is None else f"{now.what}  {duration(left)} left"


def training(what: str, done: int, of: int, left: float | None) -> str:
    """`training: dense 0.412  late 0.388  120/600  4 min 0 s left`."""
    time = "" if left is None else f"  {duration(left)} left"
    return f"{what}  {done:,}/{of:,}{time}"


def describe(now: SyncProgress) -> str:
    """Files done, rates, time left: `12/80 files  410 passages/s  9,800 tokens/s  14 s left`."""
    parts = [f"{now.files:,}/{count(now.files_total, 'file')}"]
    if now.compress_total:
        return "  ".join([*parts, compressing(now.compressed, now.compress_total)])
    if now.tokens and now.seconds > 0:
        parts.append(f"{now.passages / now.seconds:,.0f} passages/s")
        parts.append(f"{now.tokens / now.seconds:,.0f} tokens/s")
    if now.bytes == now.bytes_total:
        parts.append("writing")
    elif now.seconds_left is not None and now.tokens:
        parts.append(f"{duration(now.seconds_left)} left")
    return "  ".join(parts)
