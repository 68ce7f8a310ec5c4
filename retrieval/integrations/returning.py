"""What searches through an adapter return: documents as they were written, or passages."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

from retrieval.errors import InputError

Returns: TypeAlias = Literal["document", "passage"]
"""What a search returns: documents as they were written, or the passages that were found."""


def checked_returns(returns: Returns) -> Returns:
    """Check a value of `Returns`.

    Raises:
        InputError: it is not one.
    """
    if returns not in get_args(Returns):
        raise InputError(
            f"returns={returns!r} is unknown; choose from {', '.join(get_args(Returns))}"
        )
    return returns


def search_options(returns: Returns) -> dict[str, Any]:
    """The default search options for `returns`."""
    options: dict[str, Any] = {"highlights": False}
    if returns == "document":  # two documents with the same text are both returned
        options |= {"group": "document", "copies": True}
    return options
