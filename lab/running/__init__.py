"""Shared by all training runs.

distributed   several processes, each with its share of a step
checkpoint    the state from which a run resumes
optimisers    Muon and AdamW
averaging     the mean of the weights before and after
"""
