"""The README's demo is that of the Makefile, and its hits are there to be found."""

import re

from tests.docs.readme import ROOT, demo_commands, pasted

HIT = re.compile(r"^ *\d+  (\S+):(\d+)  [01]\.\d\d  .*\((?:\w+ \d+(?:, )?)+\)$", re.MULTILINE)


def test_the_commands_shown_are_those_of_make_demo() -> None:
    shown = re.findall(r"^\$ (.*)$", pasted(), re.MULTILINE)
    assert shown == demo_commands()


def test_the_hits_shown_stand_where_they_say() -> None:
    hits = HIT.findall(pasted())
    assert len(hits) >= 3
    for path, line in hits:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert 1 <= int(line) <= text.count("\n") + 1, f"{path} has no line {line}"
