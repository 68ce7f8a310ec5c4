"""How to split scripts without spaces into words: the rank of a section, searched by its heading.

    python benchmarks/lexical_scripts.py NAME=FOLDER... --out FILE.json

FOLDER holds Markdown files. Each section of at least 120 characters is a document without its
heading. Each heading that occurs once and has at least four letters of such a script is a query.
Measured is the mean reciprocal rank of its section among the first ten. Code is left out.
Segmenters are tried where they are installed: rjieba, tinysegmenter, budoux, pythainlp.

`apart` is what the lexical index does: n-grams in a field of their own, with half the weight.
CPU seconds are of splitting and indexing the texts.
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

from retrieval.errors import InputError
from retrieval.indexes import LexicalIndex, write_lexical
from retrieval.indexes.lexical.folding import fold
from retrieval.indexes.lexical.words import _GRAPHEME, SPACELESS, indexed, stems

MIN_CHARACTERS, MAX_CHARACTERS = 120, 1500
_CODE = re.compile(r"```.*?```|\A---.*?^---$", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"^#{1,4} (.+?)$\n(.*?)(?=^#{1,4} |\Z)", re.DOTALL | re.MULTILINE)
_MARKUP = re.compile(r"\{/?\*?.*?\}|`")

Segmenter = Callable[[str], list[str]]


def sections(folder: Path) -> tuple[list[str], dict[int, str]]:
    """The sections' texts, and the queries by the index of their section."""
    texts, headings = [], []
    for file in sorted(folder.rglob("*.md")):
        text = _CODE.sub("", file.read_text(encoding="utf-8"))
        for match in _SECTION.finditer(text):
            if len(body := match[2].strip()) >= MIN_CHARACTERS:
                texts.append(body[:MAX_CHARACTERS])
                headings.append(_MARKUP.sub("", match[1]).strip())
    counts = Counter(headings)
    queries = {
        index: heading
        for index, heading in enumerate(headings)
        if counts[heading] == 1 and sum(map(len, SPACELESS.findall(heading))) >= 4
    }
    return texts, queries


def graphemes(run: str) -> list[str]:
    """The letters of a run of such a script, each with its combining marks."""
    return _GRAPHEME.findall(run)


def ngrams(cut: Segmenter, *sizes: int) -> Segmenter:
    """A segmenter into n-grams of what `cut` gives; runs shorter than all sizes stay whole."""

    def apply(run: str) -> list[str]:
        units = cut(run)
        grams = [
            "".join(units[at : at + size]) for size in sizes for at in range(len(units) - size + 1)
        ]
        return grams or ["".join(units)]

    return apply


def variants() -> Iterator[tuple[str, Segmenter, Segmenter]]:
    """Name, segmenter of texts, and segmenter of queries."""
    one, two = ngrams(graphemes, 1), ngrams(graphemes, 2)
    both = ngrams(graphemes, 1, 2)
    yield "graphemes", one, one
    yield "bigrams", two, two
    yield "graphemes and bigrams, bigrams asked", both, two
    yield "graphemes and bigrams, both asked", both, both
    three = ngrams(graphemes, 1, 2, 3)
    yield "up to trigrams, all but graphemes asked", three, ngrams(graphemes, 2, 3)
    points = ngrams(list, 1, 2)
    yield "characters and bigrams of them, both asked", points, points
    for name, cut in segmenters():
        yield name, cut, cut


def segmenters() -> Iterator[tuple[str, Segmenter]]:
    """Those of the segmenters that are installed."""

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


def split_text(text: str, cut: Segmenter) -> list[str]:
    """The words of a text, with runs of scripts without spaces segmented by `cut`."""
    words: list[str] = []
    for word in fold(text).split():
        start = 0
        for match in SPACELESS.finditer(word):
            words += _spaced_words(word[start : match.start()]) + cut(match[0])
            start = match.end()
        words += _spaced_words(word[start:])
    return words


def _spaced_words(word: str) -> list[str]:
    """The stemmed words of a text with spaces."""
    parts = indexed(word)
    return stems(" ".join((*parts.words, parts.others))) if word else []


def measure_variant(
    texts: Sequence[str], queries: dict[int, str], text_cut: Segmenter, query_cut: Segmenter
) -> Any:
    """One way of splitting, by BM25 over a single field: reciprocal rank, bytes, CPU seconds."""
    import tantivy

    builder = tantivy.SchemaBuilder().add_integer_field("id", indexed=True, fast=True)
    builder.add_text_field("text", tokenizer_name="cut", index_option="freq")
    splitter = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    with tempfile.TemporaryDirectory() as folder:
        index = tantivy.Index(builder.build(), folder)
        index.register_tokenizer("cut", splitter)
        started = time.process_time()
        split_texts = [" ".join(split_text(text, text_cut)) for text in texts]
        writer = index.writer(heap_size=64 << 20, num_threads=1)
        for section, words in enumerate(split_texts):
            writer.add_document(tantivy.Document(id=section, text=words))
        writer.commit()
        writer.wait_merging_threads()
        seconds = time.process_time() - started
        index.reload()
        searcher = index.searcher()
        ranks = []
        for section, query in queries.items():
            clauses = []
            for term, count in Counter(split_text(query, query_cut)).items():
                single = tantivy.Query.term_query(index.schema, "text", term, "freq")
                boosted = tantivy.Query.boost_query(single, float(count))
                clauses.append((tantivy.Occur.Should, boosted))
            hits = searcher.search(tantivy.Query.boolean_query(clauses), limit=10).hits
            ids = searcher.fast_field_values("id", [address for _, address in hits])
            ranks.append(_reciprocal_rank(section, ids))
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    return _row(ranks, size, texts, seconds)


def measure_product(texts: Sequence[str], queries: dict[int, str]) -> Any:
    """The product's lexical index, measured in the same way."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "index"
        started = time.process_time()
        write_lexical(target, add=((section, {"text": text}) for section, text in enumerate(texts)))
        seconds = time.process_time() - started
        index = LexicalIndex.open(target)
        ranks = [
            _reciprocal_rank(section, index.search(query, 10)[0].tolist())
            for section, query in queries.items()
        ]
        size = sum(file.stat().st_size for file in target.iterdir())
    return _row(ranks, size, texts, seconds)


def _reciprocal_rank(section: int, ids: Sequence[int]) -> float:
    return 1 / (list(ids).index(section) + 1) if section in ids else 0.0


def _row(ranks: Sequence[float], size: int, texts: Sequence[str], seconds: float) -> Any:
    return {
        "mrr_at_10": float(np.mean(ranks)),
        "index_bytes_per_text_byte": size / sum(len(text.encode()) for text in texts),
        "cpu_seconds": seconds,
    }


def main() -> None:
    """Measure every folder and variant, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows: dict[str, Any] = {}
    for argument in args.folders:
        name, _, folder = argument.partition("=")
        texts, queries = sections(Path(folder))
        if not queries:
            raise InputError(f"{argument}: no heading to search by; give NAME=FOLDER with Markdown")
        rows[name] = {"sections": len(texts), "queries": len(queries), "variants": {}}
        by_variant = rows[name]["variants"]
        for variant, text_cut, query_cut in variants():
            by_variant[variant] = measure_variant(texts, queries, text_cut, query_cut)
            print(name, variant, by_variant[variant], flush=True)
        by_variant["apart"] = measure_product(texts, queries)
        print(name, "apart", by_variant["apart"], flush=True)
    result = environment(("modernbert-retrieval", "tantivy", "rjieba", "tinysegmenter", "budoux"))
    result |= {"rows": rows}
    write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
