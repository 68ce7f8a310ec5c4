"""Attention over unpadded sequences: one function, several back ends."""

from retrieval.encoders.model.attention.back_ends import BACK_ENDS, attention
from retrieval.encoders.model.attention.layout import Layout

__all__ = ["BACK_ENDS", "Layout", "attention"]
