"""`retrieval eval`: quality and cost on test collections; one module for each command."""

from retrieval.cli.commands.eval.group import evaluations
from retrieval.cli.program import app, import_commands

import_commands(__name__, __path__)
app.add_typer(evaluations, name="eval")
