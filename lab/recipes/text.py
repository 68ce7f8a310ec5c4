"""Gather text to train on: records with source and licence, none that a test collection shares.

    python -m lab.recipes.text --packages numpy scipy networkx \\
        --folder openstax-physics CC-BY-4.0 sources/osbooks-physics/modules \\
        --beir CC-BY-4.0 collections/medquad \\
        --protect collections/scifact --protect-but-train collections/pydocstring --out text/

`--packages` reads the Python source of installed packages, under the licence that they declare.
`--folder` reads Markdown, reStructuredText, plain text, notebooks (their prose), CNXML, JATS, JSONL
(`text`, and `title`, `query` where there are), and functions in every language of which the package
knows the structure. `--beir` reads the train split of a
collection, whose other splits are protected. Every source becomes one JSONL file of the output
folder; `SOURCES.json` there says what each is, and goes on from what an earlier call wrote.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table

from lab.text.decontaminate import Protected, protect
from lab.text.sources import train_pairs, xml_sections
from retrieval.documents import discover, read
from retrieval.documents.formats import outline_of
from retrieval.documents.formats.languages import language_of
from retrieval.documents.natural_queries import newlines
from retrieval.errors import DocumentError, InputError, RetrievalError
from retrieval.files.whole import write_whole
from retrieval.train import pairs
from retrieval.train.pairs import Record

_FREE = re.compile(
    r"\b(0BSD|Apache|BSD|BSL-1\.0|CC0|CC[- ]BY([- ]\d\.\d)?$|HPND|ISC|MIT|PSF|Python Software|"
    r"Python-2\.0|public domain|Unlicense|Zlib)\b",
    re.IGNORECASE,
)
_UNFREE = re.compile(r"GPL|General Public|MPL|Mozilla|[- ](NC|ND|SA)\b|proprietary", re.IGNORECASE)
_OTHERS_CODE = re.compile(
    r"(^|/)(_?vendor(ed)?|externals?|extern|third[_-]?party|node_modules|site-packages"
    r"|dist-packages|dist)(/|$)|\.min\.\w+$"
)
_TESTS = re.compile(
    r"(^|/)(tests?|testing|spec|specs|__tests__|fixtures|[\w.]*\.?Tests?)/"
    r"|(^|/)(test_[^/]*|conftest)\.py$|(_test|_spec|[.-]test|[.-]spec|Tests?)\.\w+$"
)
_NAMED_LICENCE = re.compile(rb"creativecommons\.org/(?:licenses/([a-z-]+)|publicdomain)")
_TITLE_FIELD = re.compile(r"\A(?:[\w-]+:.*\n|[ \t]+.*\n)*?Title:[ \t]*(.+)")
"""The title of a text that begins with fields, as Python's enhancement proposals do."""
_MAX_CODE_BYTES = 1_500_000
_XML = (".cnxml", ".nxml", ".xml")
_TEXTS = (".md", ".markdown", ".mdx", ".qmd", ".rmd", ".rst", ".txt", ".jsonl")


@dataclass(frozen=True, slots=True)
class Source:
    """A body of text under one licence, and how to read it."""

    name: str
    licence: str
    where: str
    read: Callable[[], Iterator[tuple[Record, bool]]]
    """Records, and whether each is code."""


def main() -> int:
    """Gather, drop what overlaps, write, and print a summary; the exit code."""
    args = _arguments()
    screen = Console(stderr=True)
    try:
        sources = [
            *_packages(args.packages, args.site, args.any_licence),
            *(_folder(*options) for options in args.folder),
            *(_beir(*options) for options in args.beir),
        ]
        _check(sources, args.any_licence)
        trained = [Path(folder) for _, folder in args.beir]
        with screen.status("reading the protected collections"):
            protected = protect(args.protect, but_train=[*trained, *args.protect_but_train])
        reports = list(_gather(sources, protected, args.out, args.most, screen))
        _write_sources(args.out / "SOURCES.json", reports)
    except (RetrievalError, OSError) as error:
        screen.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 1
    Console().print(_table(reports))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--packages", nargs="+", action="extend", default=[], metavar="NAME")
    add("--site", type=Path, help="where the packages were installed (pip install --target)")
    add("--folder", nargs=3, action="append", default=[], metavar=("NAME", "LICENCE", "PATH"))
    add("--beir", nargs=2, action="append", default=[], metavar=("LICENCE", "PATH"))
    add("--protect", type=Path, action="append", default=[], metavar="BEIR_FOLDER")
    add("--protect-but-train", type=Path, action="append", default=[], metavar="BEIR_FOLDER")
    add("--most", type=int, help="records kept of one source, those with a query first")
    add("--any-licence", action="store_true", help="take sources whose licence is not known free")
    add("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if not (arguments.packages or arguments.folder or arguments.beir):
        parser.error("name a source: --packages, --folder or --beir")
    return arguments


def is_free(licence: str) -> bool:
    """Whether the text may be used by anyone for anything, with attribution at most.

    Of a choice (`OR`) one licence has to be free, of a combination (`AND`, `;`) all.
    """
    choices = re.split(r"\s+OR\s+", licence.strip("() "))
    return any(
        all(
            _FREE.search(part) and not _UNFREE.search(part)
            for part in re.split(r"\s+AND\s+|;\s*", choice)
        )
        for choice in choices
    )


def _check(sources: Iterable[Source], any_licence: bool) -> None:
    names = Counter(_file_name(source.name) for source in sources)
    if twice := [name for name, count in names.items() if count > 1]:
        raise InputError(f"two sources are called {twice[0]}; every source needs its own name")
    unfree = [source for source in sources if not is_free(source.licence)]
    if unfree and not any_licence:
        listed = ", ".join(f"{source.name} ({source.licence})" for source in unfree)
        raise InputError(f"not known to be free: {listed}; leave them out or pass --any-licence")


def _packages(names: Iterable[str], site: Path | None, any_licence: bool) -> Iterator[Source]:
    places = [str(site)] if site else sys.path
    for name in dict.fromkeys(names):
        package = next(iter(metadata.distributions(name=name, path=places)), None)
        if package is None:
            raise InputError(
                f"package {name} is not installed{f' in {site}' if site else ''}; pip install it"
            )

        def files(package: metadata.Distribution = package) -> Iterator[tuple[Record, bool]]:
            for file in sorted(package.files or ()):
                if file.suffix == ".py":
                    path = Path(str(file.locate()))
                    yield from _functions(path, file.as_posix(), "python", any_licence=any_licence)

        where = f"PyPI: {name} {package.version}"
        yield Source(f"py-{name.lower()}", _declared_licence(package), where, files)


def _declared_licence(package: metadata.Distribution) -> str:
    """The licence expression, else the classifiers, else the first line of the licence field."""
    fields = package.metadata.json
    if expression := fields.get("license_expression"):
        return str(expression)
    classified = [c for c in fields.get("classifier", ()) if str(c).startswith("License ::")]
    if classified:
        return "; ".join(str(c).rpartition("::")[2].strip() for c in classified)
    return str(fields.get("license") or "none declared").strip().splitlines()[0][:60]


def _folder(name: str, licence: str, path: str) -> Source:
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; --folder takes a name, a licence and a folder")

    def files() -> Iterator[tuple[Record, bool]]:
        for source in discover([folder], folder):
            if _reads_prose(source.path):
                yield from ((record, False) for record in _prose(source.path, folder))
            elif language := language_of(source.path.name):
                yield from _functions(source.path, source.id, language, any_licence=False)

    return Source(name, licence, _commit(folder) or f"folder {folder.name}", files)


def _functions(
    path: Path, id: str, language: str, *, any_licence: bool
) -> Iterator[tuple[Record, bool]]:
    """Functions of a file that the project wrote itself, by hand, and that is no test."""
    if _OTHERS_CODE.search(id) or _TESTS.search(id) or not path.is_file():
        return
    if path.stat().st_size > _MAX_CODE_BYTES:
        return
    source = path.read_text(encoding="utf-8", errors="replace")
    head = source[:3000]
    if not any_licence and "GNU General Public" in head:
        return
    if re.search(r"auto(matically |-)?generated|DO NOT EDIT", head[:600], re.IGNORECASE):
        return
    source = newlines(source)
    for record in pairs.functions(source, outline_of(source, {"language": language})):
        yield record, True


def _reads_prose(path: Path) -> bool:
    return path.suffix.lower() in (*_XML, ".ipynb", *_TEXTS)


def _prose(path: Path, folder: Path) -> Iterator[Record]:
    suffix = path.suffix.lower()
    if suffix in _XML:
        data = path.read_bytes()
        licences = set(_NAMED_LICENCE.findall(data))
        # A JATS article is free only if it says so; any file may say that it is not.
        if licences <= {b"by", b""} and (licences or suffix == ".cnxml"):
            yield from _or_nothing(path, lambda: xml_sections(data))
    elif suffix == ".ipynb":
        yield from _or_nothing(path, lambda: _sections(_notebook_prose(path), "markdown"))
    else:
        yield from _or_nothing(path, lambda: _read(path, folder))


def _read(path: Path, folder: Path) -> Iterator[Record]:
    for source in discover([path], folder):
        for document in read(source).documents:
            language = document.metadata.get("language") or document.metadata["format"]
            if language in ("markdown", "rst"):
                field = _TITLE_FIELD.match(document.text)
                title = field[1].strip() if field else document.title
                yield from _sections(document.text, language, title)
                continue
            query = str(document.metadata.get("query") or "")
            for index, window in enumerate(pairs.windows(document.text)):
                yield Record(window, document.title, query if index == 0 else "")


def _sections(text: str, format: str, title: str | None = None) -> Iterator[Record]:
    text = newlines(text)
    return pairs.sections(text, outline_of(text, {"format": format}), title)


def _or_nothing(path: Path, records: Callable[[], Iterator[Record]]) -> Iterator[Record]:
    """The records, or none if the file is broken: one of thousands must not stop the run."""
    try:
        yield from records()
    except DocumentError as error:
        print(f"skipped {path.name}: {error}", file=sys.stderr)


def _notebook_prose(path: Path) -> str:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    except (ValueError, KeyError, TypeError) as error:
        raise DocumentError(f"{error!r}, expected a notebook") from None
    return "\n\n".join(prose)


def _commit(folder: Path) -> str:
    """The repository and the commit that is checked out at the folder, or ""."""
    command = ["git", "-C", str(folder), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    if completed.returncode:
        return ""
    top, commit = completed.stdout.splitlines()
    return f"git: {Path(top).name} at {commit}"


def _beir(licence: str, path: str) -> Source:
    folder = Path(path)

    def records() -> Iterator[tuple[Record, bool]]:
        yield from ((record, False) for record in train_pairs(folder))

    return Source(folder.name, licence, f"train split of {folder.name}", records)


def _gather(
    sources: Iterable[Source], protected: Protected, out: Path, most: int | None, screen: Console
) -> Iterator[dict[str, Any]]:
    """Write each source's records; yields its entry of `SOURCES.json`."""
    out.mkdir(parents=True, exist_ok=True)
    seen: set[bytes] = set()
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed:,} records"))
    with Progress(*columns, console=screen) as progress:
        for source in sources:
            task = progress.add_task(source.name, total=None)
            dropped: Counter[str] = Counter()
            rows: list[dict[str, str]] = []
            for record, code in progress.track(source.read(), task_id=task):
                if why := _repeated(record, seen) or protected.overlap(record, code=code):
                    dropped[why] += 1
                else:
                    rows.append(_row(source, record, code))
            if most is not None and len(rows) > most:
                random.Random(source.name).shuffle(rows)
                rows.sort(key=lambda row: not row["query"])
                dropped["beyond --most"] = len(rows) - most
                del rows[most:]
            file = out / f"{_file_name(source.name)}.jsonl"
            _write(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            yield {
                "source": source.name,
                "where": source.where,
                "licence": source.licence,
                "file": file.name,
                "records": len(rows),
                "characters": sum(len(row["text"]) + len(row["query"]) for row in rows),
                "kinds": dict(Counter(row["kind"] for row in rows)),
                "dropped": dict(dropped),
            }


def _row(source: Source, record: Record, code: bool) -> dict[str, str]:
    kind = "pair" if record.query else "code" if code else "text"
    return {
        "source": source.name,
        "licence": source.licence,
        "kind": kind,
        "title": record.title,
        "query": record.query,
        "text": record.text,
    }


def _repeated(record: Record, seen: set[bytes]) -> str | None:
    """Whether the same text came before, ignoring spaces and punctuation, with the same query."""
    text = re.sub(r"\W+", "", record.text.lower())
    digest = hashlib.blake2b(f"{record.query}\0{text}".encode("utf-8", "replace")).digest()[:12]
    if digest in seen:
        return "repeated"
    seen.add(digest)
    return None


def _write_sources(path: Path, reports: Iterable[dict[str, Any]]) -> None:
    known = {}
    if path.exists():
        try:
            known = {row["source"]: row for row in json.loads(path.read_text(encoding="utf-8"))}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: {error!r}; it is not this script's, move it away") from None
    known |= {report["source"]: report for report in reports}
    _write(path, json.dumps(list(known.values()), indent=1, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    # Surrogates that stand alone come from broken files and cannot be written.
    write_whole(path, text, errors="replace")


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def _table(reports: Iterable[dict[str, Any]]) -> Table:
    table = Table("source", "licence", box=None)
    for name in ("records", "pairs", "Mchar", "repeated", "overlap", "beyond"):
        table.add_column(name, justify="right")
    for report in reports:
        dropped = dict(report["dropped"])
        repeated, beyond = dropped.pop("repeated", 0), dropped.pop("beyond --most", 0)
        counts = (report["records"], report["kinds"].get("pair", 0))
        table.add_row(
            report["source"],
            report["licence"],
            *(f"{count:,}" for count in counts),
            f"{report['characters'] / 1e6:.2f}",
            *(f"{count:,}" for count in (repeated, sum(dropped.values()), beyond)),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
