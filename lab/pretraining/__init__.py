"""Pretraining by masked language modelling alone, as ModernBERT was trained.

packing     flat batches of whole sequences
masking     which tokens are masked; the network that predicts them
phases      short texts, long texts, decay
tiling      a larger model initialised from a smaller one
pretrain    the run
masked_lm   the folder of the resulting model
"""
