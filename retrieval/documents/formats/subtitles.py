"""Subtitles: what is said, on the lines of the source, and when."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from retrieval.documents.formats.builder import OutlineBuilder, lines_of
from retrieval.documents.formats.format import Format, Parsed, Source, decoded
from retrieval.documents.outline import Mark
from retrieval.errors import DocumentError

_CLOCK = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*(?:-{{1,2}}>|,)\s*{_CLOCK}(?:\s.*)?$")
_NUMBER = re.compile(r"\s*\d{1,7}\s*$")
_SPEAKER = re.compile(r"<v(?:\.[^\s<>]{0,100})?[ \t]+([^<>]{1,100})>")
_TAG = re.compile(
    r"</?[A-Za-z][^<>]{0,200}>|<\d[\d:.]{0,20}>|\{\\[^{}]{0,200}\}|\{[A-Za-z]:[^{}]{0,50}\}"
)
_SENTENCE_ENDS = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")
_PAUSE = 3.0
"""Seconds without a word after which something else may be spoken of."""
_AT_ONCE = 0.2
"""Most seconds between two subtitles where the later repeats lines still shown by the earlier."""


@dataclass(frozen=True, slots=True)
class _Cue:
    """A subtitle.

    Attributes:
        begins: seconds from the beginning.
        ends: the same.
        first: number of its first line, from 0.
        last: one past the number of its last.
    """

    begins: float
    ends: float
    first: int
    last: int


def _parse(data: bytes, source: Source) -> Parsed:
    text, problems = decoded(data, source)
    spans = list(lines_of(text))
    lines = [text[start:end] for start, end in spans]
    shown = [""] * len(lines)
    spoken: list[_Cue] = []
    before: list[str] = []  # what the last one shows
    last = -_PAUSE
    for cue in _cues(lines, by_blank_lines=text.lstrip("\ufeff").startswith("WEBVTT")):
        said = []
        for number in range(cue.first, cue.last):
            line = _plain(lines[number])
            if line and not (line in before and cue.begins - last <= _AT_ONCE):
                shown[number] = line
            if line:
                said.append(line)
        if any(shown[cue.first : cue.last]):
            spoken.append(cue)
        before, last = said, cue.ends
    if not spoken:
        raise DocumentError("holds no subtitles; `00:00:01,000 --> 00:00:03,500` was expected")
    return _together(shown, spoken, problems)


def _together(lines: list[str], spoken: list[_Cue], problems: tuple[str, ...]) -> Parsed:
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    builder = OutlineBuilder("\n".join(lines))
    last, ended = -_PAUSE, True
    for cue in spoken:
        first = next(number for number in range(cue.first, cue.last) if lines[number])
        begins_anew = ended or cue.begins - last > _PAUSE
        (builder.tops if begins_anew else builder.rows).append(starts[first])
        builder.marks.append(Mark(starts[first], "time", _clock(cue.begins)))
        words = next(line for line in reversed(lines[cue.first : cue.last]) if line)
        last, ended = cue.ends, bool(_SENTENCE_ENDS.search(words))
    return Parsed(builder.text, "", {}, builder.outline(), problems=problems)


def _cues(lines: list[str], *, by_blank_lines: bool) -> Iterator[_Cue]:
    """The subtitles of a file.

    Args:
        lines: of the file.
        by_blank_lines: whether a blank line ends one: other things may stand between two.
    """
    timed = [(number, found) for number, line in enumerate(lines) if (found := _times(line))]
    for at, (number, (begins, ends)) in enumerate(timed):
        last = timed[at + 1][0] if at + 1 < len(timed) else len(lines)
        if at + 1 < len(timed) and last - 1 > number and _NUMBER.match(lines[last - 1]):
            last -= 1
        if by_blank_lines:
            blank = (n for n in range(number + 1, last) if not lines[n].strip())
            last = next(blank, last)
        yield _Cue(begins, ends, number + 1, last)


def _times(line: str) -> tuple[float, float] | None:
    """When a subtitle begins and ends, if the line says so."""
    if ":" not in line:
        return None
    found = _TIMES.match(line)
    return None if found is None else (_seconds(*found.groups()[:4]), _seconds(*found.groups()[4:]))


def _seconds(hours: str | None, minutes: str, seconds: str, rest: str | None) -> float:
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole + float(f"0.{rest or 0}")


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _plain(line: str) -> str:
    """What a line says, without markup; who speaks stands before it."""
    line = _SPEAKER.sub(lambda speaker: f"{speaker[1].strip()}: ", line)
    return " ".join(unescape(_TAG.sub("", line)).split())


FORMATS = (Format("subtitles", 1, _parse, (".srt", ".vtt", ".sbv")),)
