"""The bar of a long job: on a terminal only, on standard error, so that output stays clean."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from retrieval.cli.render import count, duration

if TYPE_CHECKING:
    from retrieval.eval import EvaluateProgress
    from retrieval.sync import SyncProgress

_NOUNS = {"searching": "queries", "encoding": "passages"}


@contextmanager
def indexing_bar() -> Iterator[Callable[[SyncProgress], None] | None]:
    """A bar for `sync`; None, and nothing shown, where standard error is no terminal."""
    with bar_of("looking for changes") as show:
        if show is None:
            yield None
        else:
            yield lambda now: show(describe(now), now.bytes, now.bytes_total)


@contextmanager
def measuring_bar() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar for `Index.measure`; None, and nothing shown, where standard error is no terminal."""
    with bar_of("reading") as show:
        if show is None:
            yield None
        else:
            yield lambda what, done, of: show(f"{what} {done:,}/{of:,} {_NOUNS[what]}", done, of)


@contextmanager
def compacting_bar() -> Iterator[Callable[[int, int], None] | None]:
    """A bar for `Index.compact`; None, and nothing shown, where standard error is no terminal."""
    with bar_of("merging segments") as show:
        if show is None:
            yield None
        else:
            yield lambda done, of: show(compressing(done, of), done, of)


@contextmanager
def evaluating_bar() -> Iterator[Callable[[EvaluateProgress], None] | None]:
    """A bar for `evaluate`; None, and nothing shown, where standard error is no terminal."""
    with bar_of("reading the collections") as show:
        if show is None:
            yield None
        else:
            yield lambda now: show(evaluating(now), now.done, now.of)


@contextmanager
def counting_bar(doing: str, noun: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for what is counted; None, and nothing shown, where standard error is no terminal."""
    with bar_of(doing) as show:
        if show is None:
            yield None
        else:
            yield lambda done, of: show(f"{doing} {done:,}/{count(of, noun)}", done, of)


@contextmanager
def bar_of(first: str) -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar that is told what is going on, how much of it is done, and of how much."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(first, total=None)
        yield lambda what, done, of: bar.update(
            task, description=what, total=of or None, completed=done
        )


def compressing(done: int, of: int) -> str:
    """`compressing 1,000/5,000 token vectors`."""
    return f"compressing {done:,}/{count(of, 'token vector')}"


def evaluating(now: EvaluateProgress) -> str:
    """`scifact: late, indexing 120/5,183  4 min left`."""
    left = now.seconds_left
    return now.what if left is None else f"{now.what}  {duration(left)} left"


def describe(now: SyncProgress) -> str:
    """Files done, rates, time left: `12/80 files  410 passages/s  9,800 tokens/s  14 s left`."""
    parts = [f"{now.files:,}/{count(now.files_total, 'file')}"]
    if now.compress_total:
        return "  ".join([*parts, compressing(now.compressed, now.compress_total)])
    if now.tokens and now.seconds > 0:
        parts.append(f"{now.passages / now.seconds:,.0f} passages/s")
        parts.append(f"{now.tokens / now.seconds:,.0f} tokens/s")
    if now.files == now.files_total:
        parts.append("encoding the rest")
    elif now.seconds_left is not None and now.tokens:
        parts.append(f"{duration(now.seconds_left)} left")
    return "  ".join(parts)
