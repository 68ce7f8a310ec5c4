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

    Of conversations each message after who says it. Else each string after its field's name, those
    of lists and objects within it too. What is long, or a conversation, is taken out of the fields.
    """
    parts, between = [], "\n"
    for name, value in list(fields.items()):
        if messages := _messages(value):
            between = "\n\n"
            parts.append(between.join(messages))
            del fields[name]
            continue
        lines = list(_strings(name, value))
        if lines:
            parts.append("\n".join(lines))
        if sum(map(len, lines)) > _SHORT:
            del fields[name]
    return between.join(parts)


def _messages(value: Any) -> list[str]:
    """The messages of a conversation, none if the value is no such."""
    if not isinstance(value, list) or not value:
        return []
    found = []
    for one in value:
        said = _said(one) if isinstance(one, dict) else None
        if said is None:
            return []
        found.append(said)
    return found


def _said(message: dict[str, Any]) -> str | None:
    who = next((message[name] for name in _WHO if isinstance(message.get(name), str)), None)
    for name in _WHAT:
        what = message.get(name)
        if isinstance(what, list):  # several parts, of which some are pictures
            texts = [one.get("text") for one in what if isinstance(one, dict)]
            what = "\n".join(text for text in texts if isinstance(text, str))
        if isinstance(what, str) and who is not None:
            return f"{who}: {what}"
    return None


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
