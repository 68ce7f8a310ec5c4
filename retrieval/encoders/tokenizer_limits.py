"""What a tokenizer.json may ask for: it may be a stranger's, and its library sets few limits.

A regular expression that goes back again and again ends in a panic of the library or takes hours,
and rules that replace each other's results multiply a text.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MAX_GROWTH = 64
"""By so much, all in all, the rules of a normalizer may lengthen a text."""

_PROPERTY = re.compile(r"\\[pP](?:\{\^?[\w ]+\}|\w)|\\[hH]|\[:\^?\w+:\]")
_POSSESSIVE = {codes.POSSESSIVE_REPEAT, codes.ATOMIC_GROUP}
_REPEATS = {codes.MAX_REPEAT, codes.MIN_REPEAT}


def check_tokenizer(data: bytes) -> None:
    """Refuse a tokenizer.json that asks for too much work, or whose merges make unknown tokens.

    Raises:
        ValueError: it is refused; the message names the rule.
    """
    # Most have none of these, and are long.
    if not any(word in data for word in (b'"Regex"', b'"Replace"', b'"merges"')):
        return
    contents = json.loads(data)
    _check_merges(contents.get("model"))
    # The vocabulary holds no rules.
    rules = [contents.get(name) for name in ("normalizer", "pre_tokenizer")]
    for rule in _objects(rules):
        pattern = rule.get("Regex")
        if isinstance(pattern, str) and _goes_back(pattern):
            raise ValueError(
                f"the regular expression {pattern[:80]!r} repeats what repeats or has a choice in "
                "it, which may take for ever"
            )
    growth = 1.0
    for rule in _objects(rules[:1]):
        if rule.get("type") == "Replace":
            growth *= _growth(rule.get("pattern"), rule.get("content"))
    if growth > MAX_GROWTH:
        raise ValueError(
            f"its rules may lengthen a text {growth:,.0f} times, and {MAX_GROWTH} is the limit"
        )


def _check_merges(model: Any) -> None:
    """Refuse merges of byte pair encoding whose parts or result are not in the vocabulary.

    The library panics at some, which writes lines of its own to standard error.
    """
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        return  # another kind, or the library says what is wrong with it
    vocabulary, merges = model["vocab"], model.get("merges")
    prefix = model.get("continuing_subword_prefix") or ""
    for merge in merges if isinstance(merges, list) else ():
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if not (isinstance(parts, list) and [type(part) for part in parts] == [str, str]):
            continue
        first, second = parts
        for token in (first, second, first + second.removeprefix(prefix)):
            if token not in vocabulary:
                raise ValueError(
                    f"it merges {first[:40]!r} and {second[:40]!r}, and {token[:80]!r} is not in "
                    "its vocabulary"
                )
        if not second.startswith(prefix):
            raise ValueError(
                f"it merges {first[:40]!r} with {second[:40]!r}, which does not go on a word: that "
                f"would begin with {prefix[:40]!r}"
            )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _growth(pattern: Any, content: Any) -> float:
    """How much longer a text may become where all of it is replaced."""
    literal = pattern.get("String") if isinstance(pattern, dict) else None
    least = len(literal) if isinstance(literal, str) and literal else 1
    return max(1.0, (len(content) if isinstance(content, str) else 0) / least)


def _goes_back(pattern: str) -> bool:
    """Whether something without an end is repeated without an end, or a choice is."""
    # Python's parser knows all but these of what Oniguruma knows and tokenizers use.
    plain = _PROPERTY.sub(lambda found: r"\w" if found[0][0] == "\\" else "a", pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _has_nested(parser.parse(plain), repeated=False)
    except (re.error, RecursionError, OverflowError):
        return False  # the library says what is wrong with it, or knows more


def _has_nested(parsed: Any, *, repeated: bool) -> bool:
    for code, value in parsed:
        if code in _REPEATS:
            _, most, body = value
            endless = most == codes.MAXREPEAT
            if (endless and repeated) or _has_nested(body, repeated=repeated or endless):
                return True
        elif code in _POSSESSIVE:
            body = value[2] if code is codes.POSSESSIVE_REPEAT else value
            if _has_nested(body, repeated=False):
                return True
        elif code is codes.BRANCH:
            if repeated or any(_has_nested(one, repeated=repeated) for one in value[1]):
                return True
        elif code is codes.SUBPATTERN:
            if _has_nested(value[-1], repeated=repeated):
                return True
        elif code in (codes.ASSERT, codes.ASSERT_NOT) and _has_nested(value[1], repeated=False):
            return True
    return False
