"""The group `retrieval eval`, whose commands add themselves to it."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from retrieval.cli.program import Commands

RUN = "run"


class _Evaluations(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`retrieval eval DATASET...` is `retrieval eval run DATASET...`."""
        known = {*self.commands, *self.get_help_option_names(ctx)}
        return super().parse_args(ctx, args if args and args[0] in known else [RUN, *args])


evaluations = Commands(
    cls=_Evaluations,
    help="Measure retrieval on test collections, and compare.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
