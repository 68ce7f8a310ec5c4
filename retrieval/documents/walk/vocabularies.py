"""Vocabularies of tokenizers: megabytes of pieces of words, which nobody looks for.

They lie beside every model, and each of their lines would become passages. A file is one only if
its contents say so: `vocab.txt` may as well be a list of words to learn.
"""

from __future__ import annotations

import re
from itertools import pairwise

_MANY = 100
"""Entries in a row that have to be a vocabulary's."""

_HUGGING_FACE = re.compile(rb'\s*\{\s*"version":\s*"1\.0",\s*"truncation":\s*[n{]')
"""How `tokenizer.json` begins: tokenizers writes its fields in this order."""

_NUMBERED = re.compile(rb'\s*\{\s*((?:"(?:[^"\\\n]|\\.)*"\s*:\s*\d+\s*,\s*){100,})')
_NUMBER = re.compile(rb"(\d+)\s*,\s*(?=\"|$)")
_RANKS = re.compile(rb"(?:[A-Za-z0-9+/]{2,}={0,2} \d+\r?\n){100,}")
_RANK = re.compile(rb" (\d+)\r?\n")
_MERGES = re.compile(rb"#version: \d[^\n]*\n(?:[^\s]+ [^\s]+\r?\n){100,}")
_SENTENCE_PIECE = re.compile(
    rb"(?:<(?:unk|s|/s|pad)>\t-?\d[^\n]*\n){2,4}(?:[^\t\n]*\t-?\d[-+.e\d]*\r?\n){100,}"
)
_WORD_PIECE = (b"[UNK]", b"[CLS]", b"[SEP]")
_CONTINUED = b"##"


def is_vocabulary(extension: str, head: bytes) -> bool:
    """Whether a file holds the vocabulary, or the merges, of a tokenizer.

    Known are `tokenizer.json` of Hugging Face's tokenizers, `vocab.json` and `merges.txt` of byte
    pair encoding, `vocab.txt` of WordPiece, ranks as tiktoken keeps them, and SentencePiece's
    `.vocab`.

    Args:
        extension: of its name, in lower case, with the dot.
        head: its beginning; a few thousand bytes tell.
    """
    if extension == ".json":
        return bool(_HUGGING_FACE.match(head)) or _is_numbered(head)
    if extension not in ("", ".txt", ".bpe", ".vocab", ".tiktoken", ".model"):
        return False
    return bool(
        _MERGES.match(head)
        or _SENTENCE_PIECE.match(head)
        or ((ranks := _RANKS.match(head)) and _rise(_RANK.findall(ranks[0])))
        or _is_word_piece(head)
    )


def _is_numbered(head: bytes) -> bool:
    """Whether it is a JSON object of texts and the numbers from 0 on."""
    found = _NUMBERED.match(head)
    if found is None:
        return False
    numbers = _NUMBER.findall(found[1])[:_MANY]
    return numbers[0] == b"0" and _rise(numbers)


def _rise(numbers: list[bytes]) -> bool:
    """Whether each number is one more than the one before."""
    return all(int(one) + 1 == int(next) for one, next in pairwise(numbers))


def _is_word_piece(head: bytes) -> bool:
    """Whether it has a piece a line, with the marks that BERT put among them."""
    lines = head.split(b"\n")[:-1] if head.count(b"\n") > _MANY else []
    if not lines or any(b" " in line for line in lines):
        return False
    pieces = {line.rstrip(b"\r") for line in lines}
    return pieces.issuperset(_WORD_PIECE) or (
        b"[PAD]" in pieces and any(piece.startswith(_CONTINUED) for piece in pieces)
    )
