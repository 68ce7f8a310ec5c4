"""`retrieval model`: the embedded model and others; one module for each command."""

from retrieval.cli.commands.model.group import models
from retrieval.cli.program import app, import_commands

import_commands(__name__, __path__)
app.add_typer(models, name="model")
