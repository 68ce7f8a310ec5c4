"""What searches through an adapter give: documents as they were written, or passages."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

from retrieval.errors import InputError

Returns: TypeAlias = Literal["document", "passage"]
"""What a search gives: documents as they were written, or the passages that were found."""


def checked_returns(returns: Returns) -> Returns:
    """What was given, if it is a word of `Returns`.

    Raises:
        InputError: it is none.
    """
    if returns not in get_args(Returns):
        raise InputError(
            f"returns={returns!r} is unknown; choose from {', '.join(get_args(Returns))}"
        )
    return returns


def search_options(returns: Returns) -> dict[str, Any]:
    """How an index is searched for what `returns` says, unless the caller says otherwise."""
    options: dict[str, Any] = {"highlights": False}
    if returns == "document":  # two of the same text are two documents
        options |= {"group": "document", "copies": True}
    return options
