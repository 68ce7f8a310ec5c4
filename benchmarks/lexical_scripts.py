"""How scripts without spaces are best cut into words: the rank of a section, asked by its heading.

    python benchmarks/lexical_scripts.py NAME=FOLDER... --out FILE.json

FOLDER holds Markdown files. Each section of at least 120 characters is a document without its
heading, and each heading that is there once and holds at least four letters of such a script is a
query; the mean reciprocal rank of its section among the first ten is measured. Code is left out.
Segmenters are tried where they are installed: rjieba, tinysegmenter, budoux, pythainlp.

`apart` is what the lexical index does: n-grams in a field of their own, at half the weight.
"""

from __future__ import annotations

import argparse
import importlib
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from command import run_main
from environment import environment
from json_files import write_json

from retrieval.indexes import LexicalIndex, write_lexical
from retrieval.indexes.lexical.folding import fold
from retrieval.indexes.lexical.words import _GRAPHEME, SPACELESS, indexed, stems

LEAST_CHARACTERS, MOST_CHARACTERS = 120, 1500
_CODE = re.compile(r"```.*?```|\A---.*?^---$", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"^#{1,4} (.+?)$\n(.*?)(?=^#{1,4} |\Z)", re.DOTALL | re.MULTILINE)
_MARKS = re.compile(r"\{/?\*?.*?\}|`")

Cut = Callable[[str], list[str]]


def sections(folder: Path) -> tuple[list[str], dict[int, str]]:
    """The sections, and the queries by the place of their section."""
    texts, headings = [], []
    for file in sorted(folder.rglob("*.md")):
        text = _CODE.sub("", file.read_text(encoding="utf-8"))
        for match in _SECTION.finditer(text):
            if len(body := match[2].strip()) >= LEAST_CHARACTERS:
                texts.append(body[:MOST_CHARACTERS])
                headings.append(_MARKS.sub("", match[1]).strip())
    counts = Counter(headings)
    asked = {
        place: heading
        for place, heading in enumerate(headings)
        if counts[heading] == 1 and sum(map(len, SPACELESS.findall(heading))) >= 4
    }
    return texts, asked


def graphemes(run: str) -> list[str]:
    """The letters of a run, each with its marks."""
    return _GRAPHEME.findall(run)


def grams(cut: Cut, *sizes: int) -> Cut:
    """N-grams of what `cut` gives; of a run that is shorter than all sizes the whole."""

    def apply(run: str) -> list[str]:
        units = cut(run)
        made = [
            "".join(units[at : at + size]) for size in sizes for at in range(len(units) - size + 1)
        ]
        return made or ["".join(units)]

    return apply


def variants() -> Iterator[tuple[str, Cut, Cut]]:
    """Name, how texts are cut, how queries are."""
    one, two = grams(graphemes, 1), grams(graphemes, 2)
    both = grams(graphemes, 1, 2)
    yield "graphemes", one, one
    yield "bigrams", two, two
    yield "graphemes and bigrams, bigrams asked", both, two
    yield "graphemes and bigrams, both asked", both, both
    three = grams(graphemes, 1, 2, 3)
    yield "up to trigrams, all but graphemes asked", three, grams(graphemes, 2, 3)
    points = grams(list, 1, 2)
    yield "characters and bigrams of them, both asked", points, points
    for name, cut in segmenters():
        yield name, cut, cut


def segmenters() -> Iterator[tuple[str, Cut]]:
    """Those that are installed."""

    def module(name: str) -> Any | None:
        try:
            return importlib.import_module(name)
        except ImportError:
            return None

    if rjieba := module("rjieba"):
        yield "rjieba", rjieba.cut
    if tiny := module("tinysegmenter"):
        yield "tinysegmenter", tiny.TinySegmenter().tokenize
    if budoux := module("budoux"):
        yield "budoux, Chinese", budoux.load_default_simplified_chinese_parser().parse
        yield "budoux, Japanese", budoux.load_default_japanese_parser().parse
        yield "budoux, Thai", budoux.load_default_thai_parser().parse
    if thai := module("pythainlp.tokenize"):
        yield "pythainlp", thai.word_tokenize
    yield "words between spaces", lambda run: [run]


def tokens(text: str, cut: Cut) -> list[str]:
    """The words of a text, runs of scripts without spaces cut by `cut`."""
    found: list[str] = []
    for word in fold(text).split():
        start = 0
        for match in SPACELESS.finditer(word):
            found += _plain(word[start : match.start()]) + cut(match[0])
            start = match.end()
        found += _plain(word[start:])
    return found


def _plain(word: str) -> list[str]:
    made = indexed(word)
    return stems(" ".join((*made.words, made.others))) if word else []


def tried(texts: Sequence[str], asked: dict[int, str], text_cut: Cut, query_cut: Cut) -> Any:
    """One way of cutting, by BM25 over one field: mean reciprocal rank, bytes, seconds."""
    import tantivy

    builder = tantivy.SchemaBuilder().add_integer_field("id", indexed=True, fast=True)
    builder.add_text_field("text", tokenizer_name="cut", index_option="freq")
    splitter = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    with tempfile.TemporaryDirectory() as folder:
        index = tantivy.Index(builder.build(), folder)
        index.register_tokenizer("cut", splitter)
        started = time.process_time()
        cuts = [" ".join(tokens(text, text_cut)) for text in texts]
        seconds = time.process_time() - started
        writer = index.writer(heap_size=64 << 20, num_threads=1)
        for place, words in enumerate(cuts):
            writer.add_document(tantivy.Document(id=place, text=words))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        searcher = index.searcher()
        ranks = []
        for place, query in asked.items():
            clauses = []
            for term, count in Counter(tokens(query, query_cut)).items():
                single = tantivy.Query.term_query(index.schema, "text", term, "freq")
                boosted = tantivy.Query.boost_query(single, float(count))
                clauses.append((tantivy.Occur.Should, boosted))
            hits = searcher.search(tantivy.Query.boolean_query(clauses), limit=10).hits
            ids = searcher.fast_field_values("id", [address for _, address in hits])
            ranks.append(_reciprocal(place, ids))
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    return _row(ranks, size, texts, seconds)


def apart(texts: Sequence[str], asked: dict[int, str]) -> Any:
    """The lexical index as it is."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "index"
        started = time.process_time()
        write_lexical(target, add=((place, {"text": text}) for place, text in enumerate(texts)))
        seconds = time.process_time() - started
        index = LexicalIndex.open(target)
        ranks = [
            _reciprocal(place, index.search(query, 10)[0].tolist())
            for place, query in asked.items()
        ]
        size = sum(file.stat().st_size for file in target.iterdir())
    return _row(ranks, size, texts, seconds)


def _reciprocal(place: int, ids: Sequence[int]) -> float:
    return 1 / (list(ids).index(place) + 1) if place in ids else 0.0


def _row(ranks: Sequence[float], size: int, texts: Sequence[str], seconds: float) -> Any:
    return {
        "mrr_at_10": float(np.mean(ranks)),
        "index_bytes_per_text_byte": size / sum(len(text.encode()) for text in texts),
        "cpu_seconds": seconds,
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows: dict[str, Any] = {}
    for named in args.folders:
        name, _, folder = named.partition("=")
        texts, asked = sections(Path(folder))
        rows[name] = {"sections": len(texts), "queries": len(asked), "variants": {}}
        found = rows[name]["variants"]
        for variant, text_cut, query_cut in variants():
            found[variant] = tried(texts, asked, text_cut, query_cut)
            print(name, variant, found[variant], flush=True)
        found["apart"] = apart(texts, asked)
        print(name, "apart", found["apart"], flush=True)
    result = environment(("modernbert-retrieval", "tantivy", "rjieba", "tinysegmenter", "budoux"))
    result |= {"rows": rows}
    write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
