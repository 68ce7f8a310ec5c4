"""The paths of endpoints: a parameter that takes the rest of a path, whatever characters it has."""

from __future__ import annotations

import re

from starlette.convertors import Convertor, register_url_convertor

REST = "rest"
"""The type of such a parameter: `{id:rest}`."""

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


class _Rest(Convertor[str]):
    """Starlette's own `path` stops at a line end, and takes the id `a\\n` for the id `a`."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor(REST, _Rest())


def parameters_of(path: str) -> list[str]:
    """The names of a path's parameters."""
    return _PARAMETER.findall(path)


def without_types(path: str) -> str:
    """A path whose parameters have no types, as OpenAPI writes them."""
    return _PARAMETER.sub(r"{\1}", path)
