"""Retrieval tasks of MTEB by name, read as the package mteb reads them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import Any

from retrieval.errors import InputError, MissingDependency
from retrieval.eval.datasets.collection import Collection, assemble
from retrieval.types import Document

PREFIX = "mteb:"
_NAMES = "NAME, NAME:SUBSET,SUBSET, or either with =FOLDER, a local copy of the data"


@dataclass(frozen=True, slots=True)
class TaskName:
    """What `mteb:NAME:SUBSET,SUBSET=FOLDER` asks for.

    Attributes:
        name: a task's, or a benchmark's, or `BENCHMARK/TASK`.
        subsets: of the task's data, such as languages; None is all that it measures.
        folder: a copy of the data set's repository, or of a benchmark's a folder of such copies,
            named as the tasks are; None is the Hugging Face Hub.
    """

    name: str
    subsets: tuple[str, ...] | None = None
    folder: Path | None = None

    def __str__(self) -> str:
        subsets = "" if self.subsets is None else ":" + ",".join(self.subsets)
        return f"{PREFIX}{self.name}{subsets}" + ("" if self.folder is None else f"={self.folder}")


def is_mteb(source: str) -> bool:
    """Whether a source is a name of MTEB's."""
    return source.startswith(PREFIX)


def parse(source: str) -> TaskName:
    """The parts of a source.

    Raises:
        InputError: the name is empty.
    """
    said, equals, folder = source.removeprefix(PREFIX).partition("=")
    name, colon, subsets = said.partition(":")
    if not name or (colon and not subsets) or (equals and not folder):
        raise InputError(f"{source!r} names no task of MTEB; expected {PREFIX}{_NAMES}")
    return TaskName(
        name,
        tuple(subsets.split(",")) if colon else None,
        Path(folder).expanduser().resolve() if equals else None,
    )


def tasks_in(source: str) -> list[str]:
    """The source of each task of a benchmark, or of a task that is made of several; else itself."""
    asked = parse(source)
    found = _named(asked.name)
    inside = getattr(found, "tasks", None)
    if inside is None:
        return [source]
    aggregated = hasattr(found, "combine_task_results")
    sources = []
    for task in inside:
        own = task.metadata.name
        name = own if aggregated else f"{asked.name}/{own}"
        folder = None if asked.folder is None else asked.folder / own
        sources += tasks_in(str(TaskName(name, asked.subsets, folder)))
    return sources


def task_of(source: str) -> Any:
    """The task, an `AbsTaskRetrieval` whose data is not loaded.

    Raises:
        InputError: there is no such task, or it is none of text retrieval.
        MissingDependency: mteb is not installed.
    """
    asked = parse(source)
    task = _named(asked.name)
    metadata = task.metadata
    if not hasattr(task, "k_values") or metadata.modalities != ["text"]:
        raise InputError(
            f"{source}: {metadata.name} is of type {metadata.type} and modality "
            f"{', '.join(metadata.modalities)}; expected retrieval of texts"
        )
    if asked.subsets is not None:
        strange = [one for one in asked.subsets if one not in task.hf_subsets]
        if strange:
            raise InputError(
                f"{source}: {metadata.name} has no subset {strange[0]!r}; choose from "
                f"{', '.join(task.hf_subsets)}"
            )
        task.hf_subsets = list(asked.subsets)
    if asked.folder is not None:
        if not asked.folder.is_dir():
            raise InputError(f"{source}: there is no folder {asked.folder}")
        # Nobody says which revision a copy is of; MTEB writes this into its results.
        local = {**metadata.dataset, "path": str(asked.folder), "revision": "local"}
        task.metadata = metadata.model_copy(update={"dataset": local})
    return task


@dataclass(frozen=True, slots=True)
class Part:
    """One collection of a task.

    Attributes:
        collection: its name, which differs from those of the task's other parts.
    """

    collection: str
    subset: str
    split: str


def parts_of(task: Any, split: str | None = None) -> list[Part]:
    """What of a task is measured apart: each of its subsets, in each of its splits.

    Raises:
        InputError: it is not measured on the split that is wanted.
    """
    name, subsets, splits = task.metadata.name, list(task.hf_subsets), list(task.eval_splits)
    if split is not None and split not in splits:
        raise InputError(f"{name} has no split {split!r}; choose from {', '.join(splits)}")
    found = []
    for subset in subsets:
        for own in [split] if split is not None else splits:
            parts = [name]
            parts += [subset] if list(task.metadata.hf_subsets) != [subset] else []
            parts += [own] if len(splits) > 1 else []
            found.append(Part("-".join(parts), subset, own))
    return found


def load_task(source: str, split: str | None) -> list[Collection]:
    """The collections of one task.

    Raises:
        InputError: there is no such task, its data cannot be fetched or cannot be used.
        MissingDependency: mteb is not installed.
    """
    task = task_of(source)
    parts = parts_of(task, split)
    if split is not None:
        task.filter_eval_splits([split])
    fetch(task, source)
    return [_collection(task, part, source) for part in parts]


def fetch(task: Any, source: str) -> None:
    """Load a task's data; what fails becomes one line.

    Raises:
        InputError: it cannot be loaded.
    """
    from datasets.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        task.load_data()
        task.convert_v1_dataset_format_to_v2(num_proc=None)
    except Exception as wrong:  # of the network, of a format, of a task's own code
        reason = shorten(str(wrong), 200, placeholder=" ...") or type(wrong).__name__
        raise InputError(
            f"{source} cannot be loaded ({reason}); connect to the network, or give a local copy, "
            f"as in {PREFIX}{task.metadata.name}=FOLDER"
        ) from wrong
    finally:
        if shown:
            logging.enable_progress_bar()


def _collection(task: Any, part: Part, source: str) -> Collection:
    data = task.dataset[part.subset][part.split]
    if data["top_ranked"] is not None:
        raise InputError(
            f"{source}: {task.metadata.name} gives the documents to put in order; evaluate it with "
            "mteb and retrieval.integrations.mteb.RetrieverModel, which does that"
        )
    judged = (
        (str(query), str(document), int(grade))
        for query, grades in data["relevant_docs"].items()
        for document, grade in grades.items()
    )
    found = assemble(
        part.collection,
        part.split,
        lambda: documents_of(data["corpus"]),
        zip(map(str, data["queries"]["id"]), query_texts(data["queries"]), strict=True),
        judged,
        f"MTEB's task {task.metadata.name}",
    )
    depth = max(task.k_values)
    return replace(found, depth=depth, ignores_identical=bool(task.ignore_identical_ids))


def documents_of(corpus: Any) -> Iterator[Document]:
    """The documents of a corpus of MTEB's, a `datasets.Dataset`: id, text, perhaps title."""
    for row in corpus:
        yield Document(str(row["id"]), row["text"] or "", row.get("title") or "")


def query_texts(queries: Any) -> list[str]:
    """The texts of queries of MTEB's, a `datasets.Dataset`: id, text, perhaps instruction.

    As MTEB hands them to models: an instruction stands behind the query, a conversation is its
    turns, `role: content` between semicolons, and its instruction in front.
    """
    names = set(queries.column_names)
    texts = queries["text"]
    instructions = queries["instruction"] if "instruction" in names else [None] * len(texts)
    return [_query_text(text, said) for text, said in zip(texts, instructions, strict=True)]


def _query_text(text: str | Sequence[Any], instruction: str | None) -> str:
    if isinstance(text, str):
        return text if instruction is None else f"{text} {instruction}"
    turns = "; ".join(_turn(turn) for turn in text)
    return turns if instruction is None else f"{instruction} {turns}"


def _turn(turn: Any) -> str:
    if isinstance(turn, str):
        return turn
    if isinstance(turn, Mapping) and {"role", "content"} <= set(turn):
        return f"{turn['role']}: {turn['content']}"
    raise InputError(
        f"a turn of a conversation is {shorten(repr(turn), 80)}; expected a text, or its role and "
        "content"
    )


def _named(name: str) -> Any:
    """A benchmark or a task; of `BENCHMARK/TASK` the task as the benchmark has it."""
    try:
        import mteb
    except ImportError as wrong:
        raise MissingDependency(
            f"tasks of MTEB need the package mteb, which cannot be imported ({wrong}): "
            "pip install 'modernbert-retrieval[mteb]'"
        ) from None
    first, slash, last = name.rpartition("/")
    with contextlib.suppress(KeyError):
        found = mteb.get_benchmark(first if slash else name)
        if not slash:
            return found
        tasks = {task.metadata.name: task for task in found.tasks}
        if last not in tasks:
            raise InputError(
                f"MTEB's benchmark {first} has no task {last!r}; choose from {', '.join(tasks)}"
            )
        return tasks[last]
    try:
        return mteb.get_task(name)
    except KeyError as wrong:
        said = str(wrong.args[0]).removeprefix("KeyError: ")
        raise InputError(f"MTEB has no such task or benchmark: {said}") from None
