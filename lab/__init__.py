"""How models are trained: distillation, pretraining, and the recipes of the embedded model.

    text/           training text: sources, windows of token ids, decontamination
    distillation/   a small ModernBERT learns teachers' vectors; further training of its token head
    pretraining/    masked language modelling alone, as ModernBERT itself was trained
    running/        shared by all runs: processes, checkpoints, optimisers, averaging of weights
    recipes/        the commands: `python -m lab.recipes.embedded_model`

It runs from a checkout, is not part of the installed package, and needs torch. What `retrieval
train` needs is in `retrieval.train`, which imports nothing from here.
"""
