"""JSON that somebody else made: whatever is wrong with it is a ValueError."""

from __future__ import annotations

import pytest

from retrieval.files.stored_json import parsed, whole


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '{"a":' * 200_000, "9" * 5000, "", "{", b"\xff\xfe\xfa", None, 5, ["[]"]],
    ids=lambda text: repr(text)[:12],
)
def test_what_is_no_json_is_a_value_error(text: object) -> None:
    with pytest.raises(ValueError) as caught:
        parsed(text)
    assert not isinstance(caught.value, RecursionError)


def test_json_is_read_from_text_and_bytes() -> None:
    assert parsed('{"a": [1, "ä"]}') == parsed('{"a": [1, "ä"]}'.encode()) == {"a": [1, "ä"]}


@pytest.mark.parametrize("value", [-1, 1.0, float("inf"), float("nan"), True, "1", None, 10**30])
def test_what_is_no_whole_number_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match="whole number"):
        whole(value)


def test_a_whole_number_is_given_back() -> None:
    assert (whole(0), whole(7, 7), whole(1 << 53)) == (0, 7, 1 << 53)
    with pytest.raises(ValueError, match="from 1 on"):
        whole(0, 1)
