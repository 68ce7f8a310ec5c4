"""What every run of training needs.

distributed   several processes, each with its share of a step
checkpoint    the state that a run goes on from
optimisers    Muon and AdamW
averaging     the mean of the weights before and after
"""
