"""TREC's files: topics, judgements (qrels), and documents between <DOC> tags.

A folder holds files with `topics` or `queries` in their names (SGML or XML topics, or id and text
between tabs), with `qrels` (query, iteration, document, grade), and documents: `corpus.jsonl`,
`collection.tsv` (id, text), or files `*.trec`, `*.sgml` of <DOC> with <DOCNO>. The rest of the name
of a file of qrels is its split, `dev.small` of `qrels.dev.small.tsv`; without one, `test`. Of
several files of topics that with the same rest is asked.

trec_eval looks at bytes alone, and the topics and documents of TREC's first decades are Latin-1:
what does not fit UTF-8 is read as Windows-1252, and counted.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets.collection import Collection, Judgement, assemble
from retrieval.eval.datasets.format import Format
from retrieval.eval.datasets.rows import (
    MisfitLines,
    encoding_warnings,
    field,
    lines,
    optional,
    rows,
    text_of,
    whole,
)
from retrieval.eval.datasets.splits import choose, entries, named
from retrieval.types import Document

# What says nothing about the split, at the end of a name: 2019qrels-pass.txt, qrels.dev.small.tsv
_ENDING = re.compile(r"\.(?:txt|tsv|trec|xml|sgml|json|jsonl|parquet|gz)$")
_ASKED = ("topics", "queries")
_TOPIC = re.compile(r"<topic\b(?P<attributes>[^>]*)>(?P<inside>.*?)</topic>", re.S | re.I)
_NUMBER = re.compile(r"""\bnumber\s*=\s*["']\s*([^"']*?)\s*["']""", re.I)
_FIELD = re.compile(r"<(?P<tag>\w+)\b[^>]*>(?P<text>.*?)</(?P=tag)\s*>", re.S)
_TOP = re.compile(r"<top>(.*?)</top>", re.S | re.I)
_PART = re.compile(r"<(?P<tag>num|title|desc|narr)>(?P<text>.*?)(?=</?[a-z]|$)", re.S | re.I)
_LABEL = re.compile(r"^\s*(?:number|topic|description|narrative)\s*:\s*", re.I)
_DOC_START, _DOC_END = re.compile(r"<DOC\b", re.I), re.compile(r"</DOC>", re.I)
_DOCNO = re.compile(r"<DOCNO>\s*(.*?)\s*</DOCNO>", re.S | re.I)
# The parts of a <DOC> that are its text; the others are dates, sources, codes of subjects.
_TITLE = re.compile(r"<(TITLE|HEADLINE|HL|HEAD|TTL)>(.*?)</\1>", re.S | re.I)
_CONTENT = re.compile(r"<(TEXT|DD|DATE|LP|LEADPARA)>(.*?)</\1>", re.S | re.I)
_TAG = re.compile(r"<[^>]*>")


def recognises(folder: Path) -> bool:
    """Whether it holds topics, TREC's judgements and documents."""
    return bool(_named(folder, *_ASKED) and qrels_of(folder) and _corpus(folder))


def load(folder: Path, split: str | None) -> list[Collection]:
    """The collection of a folder of TREC's files; raises as `Format.load` does."""
    judgements = qrels_of(folder)
    chosen = choose(split, list(judgements), folder)
    asked = _topics_of(folder, chosen)
    corpus = _corpus(folder)
    misfits: MisfitLines = {}

    def documents() -> Iterator[Document]:
        for path in corpus:
            yield from _documents(path, misfits)

    judged = qrels(judgements[chosen], misfits)
    queries, notes = topics(asked, misfits), "query: title"
    warnings = encoding_warnings(misfits)
    return [assemble(folder.name, chosen, documents, queries, judged, notes, warnings)]


def topics(path: Path, misfits: MisfitLines) -> Iterator[tuple[str, str]]:
    """Id and title of each topic of an SGML or XML file, or of lines of id, tab, text.

    Args:
        misfits: see `lines`.

    Raises:
        InputError: the file or a line cannot be read.
    """
    read = list(lines(path, misfits=misfits))
    text = "\n".join(read)
    if "<top>" in text.lower():
        for match in _TOP.finditer(text):
            parts = {m["tag"].lower(): _plain(m["text"]) for m in _PART.finditer(match[1])}
            if "num" not in parts:
                raise InputError(f"{path}: a topic has no <num>; expected one in each <top>")
            yield parts["num"], parts.get("title") or parts.get("desc", "")
        return
    if "<topic" in text.lower():
        yield from _xml_topics(text, path)
        return
    for number, line in enumerate(read, start=1):
        if line.strip():
            id, tab, query = line.partition("\t")
            if not tab:
                raise InputError(f"{path}:{number}: {line[:40]!r}; expected id, tab, text")
            yield id.strip(), query.strip()


def _xml_topics(text: str, path: Path) -> Iterator[tuple[str, str]]:
    """Topics of XML: the number is an attribute or a field; the query is a field, or all there is.

    Read by pattern, so that no entity is ever expanded.
    """
    for match in _TOPIC.finditer(text):
        parts = {m["tag"].lower(): _plain(m["text"]) for m in _FIELD.finditer(match["inside"])}
        numbered = _NUMBER.search(match["attributes"])
        number = numbered[1] if numbered else parts.get("number") or parts.get("num")
        if not number:
            raise InputError(f'{path}: a topic has no number; expected <topic number="...">')
        names = ("title", "query", "question", "summary", "description", "desc")
        asked = next((parts[name] for name in names if parts.get(name)), None)
        yield number, _plain(match["inside"]) if asked is None else asked


def qrels(path: Path, misfits: MisfitLines) -> Iterator[Judgement]:
    """The judgements of a file of query, iteration, document, grade.

    Args:
        misfits: see `lines`.

    Raises:
        InputError: the file or a line cannot be read; both are named.
    """
    for number, line in enumerate(lines(path, misfits=misfits), start=1):
        parts = line.split()
        if not parts:
            continue
        try:
            query, _, document, given = parts
            yield query, document, whole(given)
        except ValueError:
            raise InputError(
                f"{path}:{number}: {line[:60]!r}; expected query, iteration, document and a whole "
                "number"
            ) from None


def _documents(path: Path, misfits: MisfitLines) -> Iterator[Document]:
    if path.name.startswith("corpus."):
        for row in rows(path):
            id = field(row, "_id", "id", "docid", "doc_id", path=path)
            yield Document(id, text_of(row, path), optional(row, "title", path))
    elif path.name.startswith("collection.tsv"):
        for number, line in enumerate(lines(path, misfits=misfits), start=1):
            id, tab, text = line.partition("\t")
            if not tab:
                raise InputError(f"{path}:{number}: {line[:40]!r}; expected id, tab, text")
            yield Document(id, text)
    else:
        yield from _tagged(path, misfits)


def _tagged(path: Path, misfits: MisfitLines) -> Iterator[Document]:
    """Documents between <DOC> and </DOC>, one in memory at a time."""
    held: list[str] = []
    inside = False
    for number, line in enumerate(lines(path, misfits=misfits), start=1):
        inside = inside or bool(_DOC_START.search(line))
        if not inside:
            continue
        held.append(line)
        if _DOC_END.search(line):
            body = "\n".join(held)
            id = _DOCNO.search(body)
            if id is None:
                raise InputError(f"{path}:{number}: a <DOC> without <DOCNO>; expected one in each")
            yield _document(id[1], _DOCNO.sub("", body))
            held, inside = [], False
    if held:
        raise InputError(f"{path}: the last <DOC> has no </DOC>; the file is cut off")


def _document(id: str, body: str) -> Document:
    titles = " ".join(match[2] for match in _TITLE.finditer(body))
    rest = _TITLE.sub("", body)
    contents = [match[2] for match in _CONTENT.finditer(rest)] or [rest]
    return Document(id, _plain(" ".join(contents)), _plain(titles))


def _plain(text: str) -> str:
    stripped = html.unescape(_TAG.sub(" ", text))
    return " ".join(_LABEL.sub("", stripped).split())


def _topics_of(folder: Path, split: str) -> Path:
    """The only file of topics, or that of the judgements' split."""
    found = _named(folder, *_ASKED)
    of_split = [path for path in found if _rest(path.name, *_ASKED) == split]
    if len(found) != 1 and len(of_split) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(
            f"{folder} has the topics {names}, and the judgements are of {split!r}; expected one "
            f"file, or one named queries.{split}.tsv"
        )
    return (of_split or found)[0]


def qrels_of(folder: Path) -> dict[str, Path]:
    """The files of judgements by split."""
    return {_rest(path.name, "qrels") or "test": path for path in _named(folder, "qrels")}


def _named(folder: Path, *words: str) -> list[Path]:
    """Files with one of these words in their names; JSON lines are BEIR's."""
    return [
        path
        for path in entries(folder)
        if any(word in path.name.lower() for word in words)
        and ("qrels" in words or "qrels" not in path.name.lower())
        and not path.name.removesuffix(".gz").endswith((".jsonl", ".parquet", ".pdf", ".md"))
        and path.is_file()
    ]


def _rest(name: str, *words: str) -> str:
    """What a file's name says beside the word and the ending: `dev` of `qrels.dev.tsv`."""
    stem = name
    while (shorter := _ENDING.sub("", stem)) != stem:
        stem = shorter
    around = re.split("|".join(words), stem, maxsplit=1, flags=re.I)
    return "-".join(part.strip("._-") for part in around if part.strip("._-"))


def _corpus(folder: Path) -> list[Path]:
    single = named(folder, "corpus") or next(iter(sorted(folder.glob("collection.tsv*"))), None)
    if single is not None:
        return [single]
    tagged = {path for end in ("trec", "sgml") for path in folder.glob(f"*.{end}*")}
    return sorted(tagged.difference(_named(folder, *_ASKED), _named(folder, "qrels")))


def lacking(folder: Path) -> str | None:
    """Judgements alone."""
    if qrels_of(folder):
        return (
            "beside TREC's qrels, topics*.txt or queries*.tsv and documents are needed: "
            "corpus.jsonl, collection.tsv, or <DOC> in *.trec or *.sgml"
        )
    return None


FORMAT = Format("TREC", recognises, load, lacking, precedence=3)
