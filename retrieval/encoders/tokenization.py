"""Texts and the tokenizer: what it takes, what it puts around a text, and long texts in pieces.

A tokenizer needs about a kilobyte a character while it works on a text, however little of its
answer is wanted. Pieces are cut where white space begins: no token reaches across such a place, in
WordPiece as in byte-level BPE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from retrieval.encoders.tokenizer_limits import check_tokenizer
from retrieval.errors import CheckpointError, EncoderError
from retrieval.files.regular import read_regular

PIECE = 1 << 16
"""Characters that are tokenised at once."""

_MAX_FILE = 256 << 20
_SURROGATE = re.compile("[\ud800-\udfff]")
_PROBES = ("a", "0", "the", ".")
_SPACE_BEGINS = re.compile(r"(?<=\S)\s")
# Characters a token, at least, that `leading` first tries: English has four to five.
_GENEROUS = 8


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json; its own truncation and padding are switched off.

    Raises:
        CheckpointError: there is no such file, or it is not a tokenizer.
    """
    try:
        data = read_regular(path, max_bytes=_MAX_FILE)
        check_tokenizer(data)
        tokenizer = Tokenizer.from_str(data.decode("utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # the library raises no narrower class
        raise CheckpointError(
            f"{path}: not a tokenizer ({error}): fetch or export the model again"
        ) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@contextmanager
def failures_as_errors() -> Iterator[None]:
    """Turn what tokenizers raises into an error that says what to do.

    That is a plain Exception (a text needs the unknown token, and there is none), or of a panic
    what is no Exception.
    """
    try:
        yield
    except BaseException as error:
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        said = (str(error).splitlines() or ["no reason"])[0]
        raise EncoderError(
            f"the tokenizer cannot read a text ({said[:200]}); use a model with another tokenizer"
        ) from None


def tokenizer_config(tokenizer: Tokenizer, longest: int) -> dict[str, Any]:
    """The contents of a `tokenizer_config.json`, by which transformers reads `tokenizer.json`.

    Args:
        longest: tokens of a text, special ones included.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": longest,
        "model_input_names": ["input_ids", "attention_mask"],
        **named_tokens(tokenizer),
    }


def named_tokens(tokenizer: Tokenizer) -> dict[str, str]:
    """The special tokens that there are, by transformers' names for them."""
    named = {f"{role}_token": f"[{role.upper()}]" for role in ("unk", "sep", "pad", "cls", "mask")}
    return {role: word for role, word in named.items() if tokenizer.token_to_id(word) is not None}


def clean(text: str) -> str:
    """The text without lone surrogates, which no tokenizer takes; as long as before."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    return text


def encode(tokenizer: Tokenizer, text: str) -> Encoding:
    """A text's tokens without special ones; lone surrogates count as unknown characters."""
    with failures_as_errors():
        return tokenizer.encode(clean(text), add_special_tokens=False)


def encode_batch(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The ids of the tokens of each text, without special ones."""
    clean_texts = [clean(text) for text in texts]
    with failures_as_errors():
        encodings = tokenizer.encode_batch_fast(clean_texts, add_special_tokens=False)
    return [encoding.ids for encoding in encodings]


def special_tokens(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids that the tokenizer puts before and after every text."""
    for probe in _PROBES:
        with failures_as_errors():
            content = tokenizer.encode(probe, add_special_tokens=False).ids
            whole = tokenizer.encode(probe, add_special_tokens=True).ids
        for at in range(len(whole) - len(content) + 1) if content else ():
            if whole[at : at + len(content)] == content:
                return tuple(whole[:at]), tuple(whole[at + len(content) :])
    raise CheckpointError(
        "tokenizer.json adds special tokens in a way that is not understood: "
        "expected a fixed row of them before and after each text"
    )


def pieces(text: str, size: int = PIECE) -> Iterator[tuple[int, str]]:
    """Cut a text where white space begins, into pieces of about `size` characters.

    A run of `2 * size` characters without such a place is cut in its middle.

    Yields:
        Where the piece starts in the text, and the piece; joined they are the text.
    """
    start = 0
    while len(text) - start > 2 * size:
        found = _SPACE_BEGINS.search(text, start + size, start + 2 * size)
        end = found.start() if found else start + size
        yield start, text[start:end]
        start = end
    yield start, text[start:]


def token_spans(tokenizer: Tokenizer, text: str) -> NDArray[np.int64]:
    """Character spans of a text's tokens: i64 [t, 2], without special tokens."""
    spans = [
        np.array(encode(tokenizer, piece).offsets, np.int64).reshape(-1, 2) + start
        for start, piece in pieces(text)
    ]
    return np.concatenate(spans)


def leading(tokenizer: Tokenizer, text: str, count: int) -> str:
    """A beginning of the text that has at least `count` tokens, or all of it.

    What is cut off never changes the first `count` tokens, so truncation costs what is kept.
    """
    size = max(count * _GENEROUS, 1)
    while len(text) > 2 * size:
        _, beginning = next(pieces(text, size))
        words = encode(tokenizer, beginning).word_ids
        # The last word may have been cut apart, and then its tokens may be others.
        if words and len(words) - words.count(words[-1]) >= count:
            return beginning
        size *= 4
    return text
