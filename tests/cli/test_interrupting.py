"""Ctrl-C comes through, whoever throws the first one away."""

from __future__ import annotations

import signal
import sys
import time
import weakref
from collections.abc import Callable

import pytest

from retrieval.cli.interrupting import lasting_interrupts


class _Thing:
    pass


def _in_a_bare_except() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
        time.sleep(5)
    except BaseException:
        pass


def _in_a_callback() -> None:
    thing = _Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing
    assert reference() is None


def _turned_into_another_error() -> None:
    try:
        try:
            signal.raise_signal(signal.SIGINT)
            time.sleep(5)
        except BaseException as error:
            raise ImportError("it could not be imported") from error
    except ImportError:
        pass


@pytest.fixture(autouse=True)
def _usual_handler() -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("swallow", [_in_a_bare_except, _in_a_callback, _turned_into_another_error])
def test_an_interrupt_that_was_swallowed_is_raised_again(
    swallow: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    went_on = False
    hook = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), lasting_interrupts():
        swallow()
        went_on = True
        for _ in range(500):
            time.sleep(0.01)
        pytest.fail("nobody was interrupted")
    assert went_on
    assert sys.unraisablehook is hook
    assert capsys.readouterr().err == ""


def test_one_that_comes_through_is_raised_once() -> None:
    with pytest.raises(KeyboardInterrupt), lasting_interrupts():
        signal.raise_signal(signal.SIGINT)
    time.sleep(0.05)  # what would come again has come by now
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_ones_handler_stays() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with lasting_interrupts():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
