"""What a JSON object says that has no field for its text: a conversation, or its strings by name.

Chats are lists of messages, each with who says it and what, as OpenAI's and ShareGPT's files have
them. Logs, instructions with their answers, and forms have several fields with words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_BLANK = re.compile(r"\s")

_WHO = ("role", "from", "author", "speaker", "name")
_WHAT = ("content", "value", "text", "message")
_SHORT = 200
"""Characters of a string that stays a field of the metadata beside the text, to be filtered by."""


def spoken(fields: dict[str, Any]) -> str:
    """The text of an object without one, "" if it says nothing.

    Of conversations each message after who says it, else each string after its field's name, those
    of lists and objects within it too. What is long and holds nothing else is taken out of the
    fields.
    """
    parts, between = [], "\n"
    for name, value in list(fields.items()):
        lines = _messages(value)
        if lines:
            between = "\n\n"
        else:
            lines = list(_strings(name, value))
        if lines:
            parts.append(between.join(lines))
        if sum(map(len, lines)) > _SHORT and _is_all_said(value):
            del fields[name]
    return between.join(parts)


def _messages(value: Any) -> list[str]:
    """The messages of a conversation, none if the value is not one."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return []
    said = [_said(one) for one in value]
    return [] if None in said else [one for one in said if one is not None]


def _said(message: dict[str, Any]) -> str | None:
    """Who says what; where no field holds that, as where a tool is called, all strings by name."""
    who = next((name for name in _WHO if isinstance(message.get(name), str)), None)
    if who is None or not any(name in message for name in _WHAT):
        return None
    for name in _WHAT:
        what = message.get(name)
        if isinstance(what, list):  # several parts, of which some are pictures
            texts = [one.get("text") for one in what if isinstance(one, dict)]
            what = "\n".join(text for text in texts if isinstance(text, str))
        if isinstance(what, str) and what:
            return f"{message[who]}: {what}"
    others = (_strings(name, value) for name, value in message.items() if name != who)
    return f"{message[who]}: " + "; ".join(line for lines in others for line in lines)


def _strings(name: str, value: Any) -> Iterator[str]:
    """The strings of a field, each after its name."""
    if isinstance(value, str):
        if _is_said(value):
            yield f"{name}: {value}"
    elif isinstance(value, list):
        texts = [one for one in value if isinstance(one, str) and _is_said(one)]
        if texts:
            yield f"{name}: {', '.join(texts)}"
        for one in value:
            if isinstance(one, list | dict):
                yield from _strings(name, one)
    elif isinstance(value, dict):
        for inner, one in value.items():
            yield from _strings(f"{name}.{inner}", one)


def _is_said(text: str) -> bool:
    """Whether a string has words: pictures and keys are long, and have no blank."""
    return bool(text.strip()) and (
        len(text) <= _SHORT or _BLANK.search(text, 0, _SHORT) is not None
    )


def _is_all_said(value: Any) -> bool:
    """Whether a value is nothing but strings that the text has."""
    if isinstance(value, list):
        return all(map(_is_all_said, value))
    if isinstance(value, dict):
        return all(map(_is_all_said, value.values()))
    return isinstance(value, str) and _is_said(value)
