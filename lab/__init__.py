"""How models are made: distillation, pretraining, and the recipes of the embedded model.

    text/           text to train on: sources, windows of token ids, what test collections share
    distillation/   a small ModernBERT learns teachers' vectors; its token head learnt further
    pretraining/    masked language modelling alone, as ModernBERT itself was trained
    running/        what every run needs: processes, checkpoints, optimisers, means of weights
    recipes/        the commands: `python -m lab.recipes.embedded_model`

It is run from a checkout, is no part of the installed package, and needs torch. What
`retrieval train` needs is in `retrieval.train`, which imports nothing from here.
"""
