"""Progress of a long job, on standard error, so that output stays clean.

On a terminal it is a bar; elsewhere, as in a log file, occasional lines.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from retrieval.cli.output.amounts import count, duration
from retrieval.service.printable import safe
from retrieval.types import COMPRESSING, ProgressCallback, ProgressUpdate

EVERY_S = 10.0
"""Seconds between two lines without a terminal; shorter jobs print nothing."""

STILL_S = 60.0
"""Seconds after which an unchanged line is repeated, to show that the job is alive."""


@contextmanager
def progress_bar(stage: str) -> Iterator[ProgressCallback]:
    """A bar that shows the newest update; lines if standard error is not a terminal.

    Args:
        stage: shown until the first update comes.
    """
    if not sys.stderr.isatty():
        with _lines(stage) as show:
            yield show
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    # Names of collections and systems are the user's, so square brackets are not markup.
    said = TextColumn("{task.description}", markup=False)
    with Progress(
        SpinnerColumn(), BarColumn(bar_width=24), said, console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(stage, total=None)
        yield lambda now: bar.update(
            task, description=describe(now), total=now.total or None, completed=now.done
        )


@contextmanager
def _lines(stage: str) -> Iterator[ProgressCallback]:
    """A line every `EVERY_S` seconds.

    They are written by a separate thread, so that a long step without updates shows too.
    """
    now = ProgressUpdate(stage, 0, None)
    over = threading.Event()
    started = time.monotonic()

    def show(update: ProgressUpdate) -> None:
        nonlocal now
        now = update

    def write() -> None:
        shown, since = None, 0.0
        while not over.wait(EVERY_S):
            seconds = time.monotonic() - started
            if now == shown and seconds - since < STILL_S:
                continue
            shown, since = now, seconds
            try:
                sys.stderr.write(f"{line(now, seconds)}\n")
                sys.stderr.flush()
            except (OSError, ValueError):  # the reader is gone; the job continues
                return

    writer = threading.Thread(target=write, name="progress", daemon=True)
    writer.start()
    try:
        yield show
    finally:
        over.set()
        writer.join()


def line(now: ProgressUpdate, seconds: float) -> str:
    """`2 min 10 s  37 %  scifact: late, indexing 1,920/5,183  3 min 40 s left`."""
    share = f"{100 * min(now.done, now.total) // now.total} %  " if now.total else ""
    return f"{duration(seconds)}  {share}{safe(describe(now))}"


def describe(now: ProgressUpdate) -> str:
    """`mining 120/600 queries  4 min left`; for a sync also files and rates.

    `12/80 files  410 passages/s  9,800 tokens/s  14 s left`, or while token vectors are compressed
    `80/80 files  compressing 1,000/5,000 token vectors`.
    """
    from retrieval.sync import SyncProgress

    if not isinstance(now, SyncProgress):
        return "  ".join([_counted(now), *_left(now)])
    parts = [f"{now.files:,}/{count(now.files_total, 'file')}"]
    if now.stage == COMPRESSING:
        return "  ".join([*parts, _counted(now)])
    if now.tokens and now.seconds > 0:
        parts.append(f"{now.passages / now.seconds:,.0f} passages/s")
        parts.append(f"{now.tokens / now.seconds:,.0f} tokens/s")
    if now.done == now.total:
        parts.append("writing")
    elif now.tokens:
        parts += _left(now)
    return "  ".join(parts)


def _counted(now: ProgressUpdate) -> str:
    """`compressing 1,000/5,000 token vectors`."""
    if not now.unit:
        return now.stage
    total = "" if now.total is None else f"/{now.total:,}"
    return f"{now.stage} {now.done:,}{total} {now.unit}"


def _left(now: ProgressUpdate) -> list[str]:
    return [] if now.seconds_left is None else [f"{duration(now.seconds_left)} left"]
