"""Texts that do not say their encoding: how many are told, and how many of those are told right.

    python -m benchmarks.encodings [--each N] [--seed N] [--output FILE.json]

The texts are windows of manual pages (/usr/share/man/LANGUAGE) and of programs' messages
(/usr/share/locale/LANGUAGE), as Debian's packages bring them, from the start of a line on, each
encoded in what people write its language in, in lengths from 40 bytes to 10 kB. `told` is the
share of an encoding's texts whose encoding is taken for certain, `right` the share of those that
are read character for character; of languages in Latin letters none should be told.
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
MOST_FILES = 60


def texts_of(language: str) -> Iterator[str]:
    """A language's manual pages as one text, and its messages as another."""
    pages = sorted(Path("/usr/share/man", language).glob("man*/*.gz"))
    read = []
    for page in pages[:: max(1, len(pages) // MOST_FILES)]:
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
    text: str, encoding: str, length: int, count: int, chance: random.Random
) -> Iterator[tuple[bytes, int]]:
    """Up to so many encoded windows that are no UTF-8, of whole characters."""
    for _ in range(200 * count):
        if count <= 0 or len(text) <= 2 * length:
            return
        at = text.find("\n", chance.randrange(len(text) - length)) + 1
        data = text[at : at + length].encode(encoding, "ignore")[:length]
        whole = data.decode(encoding, "ignore").encode(encoding)
        if len(whole) < 0.9 * length or sum(byte > 127 for byte in whole) < 2:
            continue
        try:
            whole.decode()
        except UnicodeDecodeError as error:
            count -= 1
            yield whole, error.start


def by_length(counts: Counter[tuple[str, int]]) -> dict[str, list[int]]:
    """Of each name its counts, in the order of the lengths."""
    return {own: [counts[own, n] for n in LENGTHS] for own in sorted({own for own, _ in counts})}


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=50, help="windows of a text and length")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    asked: Counter[tuple[str, int]] = Counter()
    told: Counter[tuple[str, int]] = Counter()
    right: Counter[tuple[str, int]] = Counter()
    taken: Counter[tuple[str, int]] = Counter()
    for language, encodings in {**ENCODINGS, **LATIN}.items():
        for text in texts_of(language):
            for encoding in encodings:
                own = "Latin letters" if language in LATIN else encoding
                for length in LENGTHS:
                    for data, first in windows(text, encoding, length, args.each, chance):
                        asked[own, length] += 1
                        if (codec := detected(data, first)) is not None:
                            said = decode_as(codec, data)[0] == data.decode(encoding)
                            told[own, length] += 1
                            taken[codec, length] += 1
                            right[codec, length] += said
    result = {
        **environment(["chardetng-py"]),
        "seed": args.seed,
        "lengths": LENGTHS,
        "texts": by_length(asked),
        "told": by_length(told),
        "taken_for": by_length(taken),
        "right": by_length(right),
    }
    for name, some, all_ in (("told", told, asked), ("right", right, taken)):
        for own in by_length(all_):
            shares = (some[own, n] / max(all_[own, n], 1) for n in LENGTHS)
            print(f"{name:5} {own:14}", *(f"{share:6.3f}" for share in shares))
    if args.output:
        write_json(args.output, result)


if __name__ == "__main__":
    main()
