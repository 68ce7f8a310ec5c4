"""The bar of a long job: on a terminal only, on standard error, so that output stays clean."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from retrieval.cli.render import count, duration

if TYPE_CHECKING:
    from retrieval.sync import SyncProgress


@contextmanager
def indexing_bar() -> Iterator[Callable[[SyncProgress], None] | None]:
    """A bar for `sync`; None, and nothing shown, where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking for changes", total=None)

        def show(now: SyncProgress) -> None:
            bar.update(
                task, description=describe(now), total=now.bytes_total or None, completed=now.bytes
            )

        yield show


@contextmanager
def measuring_bar() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar for `Index.measure`; None, and nothing shown, where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def show(what: str, done: int, of: int) -> None:
            noun = "queries" if what == "searching" else "passages"
            bar.update(task, description=f"{what} {noun}", total=of, completed=done)

        yield show


def describe(now: SyncProgress) -> str:
    """Files done, rates, time left: `12/80 files  410 passages/s  9,800 tokens/s  14 s left`."""
    parts = [f"{now.files:,}/{count(now.files_total, 'file')}"]
    if now.tokens and now.seconds > 0:
        parts.append(f"{now.passages / now.seconds:,.0f} passages/s")
        parts.append(f"{now.tokens / now.seconds:,.0f} tokens/s")
    if now.files == now.files_total:
        parts.append("encoding the rest")
    elif now.seconds_left is not None and now.tokens:
        parts.append(f"{duration(now.seconds_left)} left")
    return "  ".join(parts)
