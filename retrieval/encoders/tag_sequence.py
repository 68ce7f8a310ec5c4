"""The likeliest tags of a text's words that make entities: no `I-` without its beginning.

Each word's likeliest tag alone cuts entities up where a network is unsure of a word within one.
Here the tags of all words are chosen together, among those in which `I-` follows `B-` or `I-` of
the same label, by dynamic programming (Viterbi, "Error bounds for convolutional codes", 1967).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def likeliest_tags(logits: NDArray[np.float32], labels: Sequence[str]) -> list[str]:
    """The tags of words.

    Args:
        logits: of each label for each word, f32 [words, labels].
        labels: their names. An `I-` whose label has no `B-` may stand anywhere.
    """
    if not len(logits):
        return []
    begun = [label.startswith("I-") and f"B-{label[2:]}" in labels for label in labels]
    follows = np.zeros((len(labels), len(labels)))
    for before, first in enumerate(labels):
        for behind, second in enumerate(labels):
            if begun[behind] and first not in (second, f"B-{second[2:]}"):
                follows[before, behind] = -np.inf
    shifted = logits - logits.max(axis=1, keepdims=True)
    shares = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    best = shares[0] + np.where(begun, -np.inf, 0.0)
    came_from = []
    for row in shares[1:]:
        paths = best[:, None] + follows
        came_from.append(paths.argmax(axis=0))
        best = paths.max(axis=0) + row
    places = [int(best.argmax())]
    for previous in reversed(came_from):
        places.append(int(previous[places[-1]]))
    return [labels[place] for place in reversed(places)]
