"""Texts that do not declare their encoding: how many are detected, and how many of those correctly.

    python -m benchmarks.encodings [--each N] [--seed N] [--output FILE.json]

The texts are windows of manual pages (/usr/share/man/LANGUAGE) and of programs' messages
(/usr/share/locale/LANGUAGE), as Debian's packages install them. Each starts at the start of a line,
is encoded as its language commonly is, and has from 40 bytes to 10 kB. `told` is the share of an
encoding's texts whose encoding is detected with certainty, `right` the share of those that are
decoded without an error. Of languages in Latin letters none should be detected.
"""

from __future__ import annotations

import argparse
import gettext
import gzip
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.environment import environment
from benchmarks.json_files import write_json
from retrieval.documents.charsets import decode_as
from retrieval.documents.detection import detected

LENGTHS = (40, 80, 160, 320, 1000, 3000, 10_000)
ENCODINGS = {
    "ru": ("cp1251", "koi8-r"), "uk": ("cp1251", "koi8-u"), "bg": ("cp1251",), "be": ("cp1251",),
    "sr": ("cp1251",), "ja": ("cp932", "euc-jp"), "zh_CN": ("gb18030",), "zh_TW": ("big5hkscs",),
    "ko": ("cp949",), "el": ("cp1253",), "ar": ("cp1256",), "th": ("cp874",), "he": ("cp1255",),
}  # fmt: skip
LATIN = {
    **dict.fromkeys(("de", "fr", "es", "it", "nl", "sv", "da", "fi", "pt", "pt_BR"), ("cp1252",)),
    **dict.fromkeys(("nb", "ca", "is", "id", "et"), ("cp1252",)),
    **dict.fromkeys(("pl", "cs", "hu", "sl", "hr", "ro"), ("cp1250", "iso8859-2")),
    **{"tr": ("cp1254",), "lt": ("cp1257",), "lv": ("cp1257",), "vi": ("cp1258",)},
}
MAX_PAGES = 60


def texts_of(language: str) -> Iterator[str]:
    """A language's manual pages as one text, and its messages as another."""
    pages = sorted(Path("/usr/share/man", language).glob("man*/*.gz"))
    read = []
    for page in pages[:: max(1, len(pages) // MAX_PAGES)]:
        try:
            read.append(gzip.decompress(page.read_bytes()).decode())
        except (OSError, EOFError, UnicodeDecodeError):
            continue
    yield "\n".join(text for text in read if not text.startswith(".so"))
    said = []
    for file in sorted(Path("/usr/share/locale", language, "LC_MESSAGES").glob("*.mo"))[:40]:
        try:
            with file.open("rb") as opened:
                messages = gettext.GNUTranslations(opened)._catalog  # type: ignore[attr-defined]
        except (OSError, UnicodeDecodeError):
            continue
        said += [value for key, value in messages.items() if key and isinstance(value, str)]
    yield "\n".join(said)


def windows(
    text: str, encoding: str, length: int, count: int, rng: random.Random
) -> Iterator[tuple[bytes, int]]:
    """Up to so many encoded windows that are no valid UTF-8, each with its first invalid byte."""
    for _ in range(200 * count):
        if count <= 0 or len(text) <= 2 * length:
            return
        start = text.find("\n", rng.randrange(len(text) - length)) + 1
        data = text[start : start + length].encode(encoding, "ignore")[:length]
        encoded = data.decode(encoding, "ignore").encode(encoding)
        if len(encoded) < 0.9 * length or sum(byte > 127 for byte in encoded) < 2:
            continue
        try:
            encoded.decode()
        except UnicodeDecodeError as error:
            count -= 1
            yield encoded, error.start


def by_length(counts: Counter[tuple[str, int]]) -> dict[str, list[int]]:
    """Each name's counts in the order of `LENGTHS`."""
    return {
        name: [counts[name, n] for n in LENGTHS] for name in sorted({name for name, _ in counts})
    }


def main() -> None:
    """Detect, print the shares, and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=50, help="windows of a text and length")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    texts: Counter[tuple[str, int]] = Counter()
    detected_texts: Counter[tuple[str, int]] = Counter()
    correct: Counter[tuple[str, int]] = Counter()
    detections: Counter[tuple[str, int]] = Counter()
    for language, encodings in {**ENCODINGS, **LATIN}.items():
        for text in texts_of(language):
            for encoding in encodings:
                name = "Latin letters" if language in LATIN else encoding
                for length in LENGTHS:
                    for data, first in windows(text, encoding, length, args.each, rng):
                        texts[name, length] += 1
                        if (codec := detected(data, first)) is not None:
                            is_correct = decode_as(codec, data)[0] == data.decode(encoding)
                            detected_texts[name, length] += 1
                            detections[codec, length] += 1
                            correct[codec, length] += is_correct
    result = {
        **environment(["chardetng-py"]),
        "seed": args.seed,
        "lengths": LENGTHS,
        "texts": by_length(texts),
        "told": by_length(detected_texts),
        "taken_for": by_length(detections),
        "right": by_length(correct),
    }
    for share_name, hits, totals in (
        ("told", detected_texts, texts),
        ("right", correct, detections),
    ):
        for name in by_length(totals):
            shares = (hits[name, n] / max(totals[name, n], 1) for n in LENGTHS)
            print(f"{share_name:5} {name:14}", *(f"{share:6.3f}" for share in shares))
    if args.output:
        write_json(args.output, result)


if __name__ == "__main__":
    main()
