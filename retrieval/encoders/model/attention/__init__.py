"""Attention over unpadded sequences: one function, several back ends."""

from retrieval.encoders.model.attention.back_ends import (
    BACK_ENDS,
    Call,
    attention,
    choose,
    forced,
    obstacles,
)
from retrieval.encoders.model.attention.layout import Layout

__all__ = ["BACK_ENDS", "Call", "Layout", "attention", "choose", "forced", "obstacles"]
