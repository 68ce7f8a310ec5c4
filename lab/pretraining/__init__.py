"""Pretraining, with masked language modelling alone, as ModernBERT was trained.

packing     flat batches of whole sequences
masking     what is hidden; the network that guesses it
phases      short texts, long texts, decay
tiling      a larger model begun from a smaller one
pretrain    the run
masked_lm   the folder of the model that comes out
"""
