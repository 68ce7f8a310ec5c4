"""What a model's size and its training cost and bring: nDCG@10, tokens seen, tokens a second.

    python benchmarks/model_sizes.py evaluate --runs RUNS --work FOLDER \\
        --collections COLLECTION... --also MODEL=TOKENS
    python benchmarks/model_sizes.py speed draw --runs RUNS \\
        --collections COLLECTION... --also MODEL=TOKENS

RUNS is what `lab.recipes.model_sizes` wrote; `--also` names a model folder and the tokens that it
has seen in all. `evaluate` indexes and searches the collections as `retrieval eval` does, with the
int8 graph on the CPU, and writes `benchmarks/results/model_sizes.json`. It goes on where it was
stopped, and the machine may be busy. `speed` needs a silent one: it encodes the same passages of
the collections with each size in turn, as it was in the end, and puts tokens a second into that
JSON. `draw` makes `docs/model-learning.svg` and `docs/model-speed.svg` of it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from chart import Panel, Point, Series, line_chart
from environment import environment
from json_files import write_json
from published import progress_lines

from retrieval.documents import chunk
from retrieval.encoders.loading import load_encoder
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.quantized import SCALE, tensor_places
from retrieval.encoders.model_folder import QUERY_WEIGHTS, WEIGHTS_FILE, read_config
from retrieval.errors import RetrievalError
from retrieval.eval import evaluate, load, make_systems
from retrieval.eval.systems.system import title_and_text
from retrieval.eval.systems.variants import PASSAGE_TOKENS
from retrieval.types import Document, Encoder

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "model_sizes.json"
PICTURES = ROOT / "docs"
LEARNING, SPEED = "model-learning.svg", "model-speed.svg"
MEASURE, RETRIEVERS = "nDCG@10", ("dense", "late")
PACKAGES = ("modernbert-retrieval", "onnxruntime", "faiss-cpu", "tokenizers", "numpy")
FACTS, PART = "training.json", ".part"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the steps that were asked for; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="+", choices=("evaluate", "speed", "draw"))
    parser.add_argument("--runs", type=Path, help="folder that lab.recipes.model_sizes wrote")
    parser.add_argument("--also", nargs="+", default=[], metavar="MODEL=TOKENS")
    parser.add_argument("--collections", nargs="+", default=[], help="folders in BEIR's format")
    parser.add_argument("--work", type=Path, help="folder for indexes and runs")
    parser.add_argument("--queries", type=int, default=300, help="of a collection, at most")
    parser.add_argument("--tokens", type=int, default=40_000, help="of the passages for speed")
    parser.add_argument("--rounds", type=int, default=3, help="speed is the median of so many")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="folder for the pictures")
    args = parser.parse_args(arguments)
    if {"evaluate", "speed"} & set(args.steps):
        if not (args.collections and (args.runs or args.also)):
            parser.error("give --collections, and models by --runs or --also")
        if "evaluate" in args.steps and not args.work:
            parser.error("give --work, a folder for indexes and runs")
        if args.tokens < 1 or args.rounds < 1:
            parser.error("give --tokens and --rounds of at least 1")
    try:
        if "evaluate" in args.steps:
            result = measured(models_of(args), args.collections, args.work, args.queries)
            written(args.results, result)
        if "speed" in args.steps:
            sample = Sample(tuple(args.collections), args.tokens, args.rounds)
            written(args.results, {"speed": timed(models_of(args), sample)})
        if "draw" in args.steps:
            result = json.loads(args.results.read_text(encoding="utf-8"))
            (args.pictures / LEARNING).write_text(learning(result["rows"]), encoding="utf-8")
            (args.pictures / SPEED).write_text(speed(result), encoding="utf-8")
    except (RetrievalError, OSError) as wrong:
        print(wrong, file=sys.stderr)
        return 1
    return 0


@dataclass(frozen=True, slots=True)
class Model:
    """A model folder and how it came about.

    Attributes:
        name: of its line in the pictures; models of one name were one run at several times.
        shape: layers x hidden.
        parameters: of the trunk with its embedding table, and of the heads.
        bytes: of the folder's files.
        tokens_seen: in training.
        decayed: whether the learning rate had come down when it was written.
    """

    folder: Path
    name: str
    shape: str
    layers: int
    hidden: int
    parameters: int
    bytes: int
    tokens_seen: int
    decayed: bool

    @classmethod
    def of(cls, folder: Path, tokens_seen: int, *, decayed: bool, name: str | None = None) -> Model:
        """The model in the folder; its name is its shape unless another is given.

        Raises:
            CheckpointError: it is no model folder.
        """
        config = ModernBertConfig.from_dict(read_config(folder))
        places = tensor_places(folder / WEIGHTS_FILE)
        shape = f"{config.num_layers}x{config.hidden_size}"
        return cls(
            folder=folder,
            name=name or shape,
            shape=shape,
            layers=config.num_layers,
            hidden=config.hidden_size,
            parameters=sum(
                math.prod(place.shape)
                for tensor, place in places.items()
                if not tensor.endswith(SCALE) and tensor != QUERY_WEIGHTS
            ),
            bytes=sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
            tokens_seen=tokens_seen,
            decayed=decayed,
        )

    @classmethod
    def seen_from_outside(cls, named: str) -> Model:
        """`MODEL=TOKENS`: a finished model of its own name."""
        folder, _, tokens = named.rpartition("=")
        if not folder or not tokens.replace("_", "").isdigit():
            sys.exit(f"--also {named}: expected MODEL=TOKENS, such as models/mine=9000000")
        path = Path(folder)
        return cls.of(path, int(tokens), decayed=True, name=path.resolve().name)

    @property
    def label(self) -> str:
        """Its own among the systems."""
        return f"{self.name}@{self.tokens_seen}"


def found(runs: Path) -> list[Model]:
    """The models of every shape in the folder, by shape and tokens."""
    models = []
    for facts in runs.glob(f"*/*/{FACTS}"):
        if facts.parent.suffix != PART:
            said = json.loads(facts.read_text(encoding="utf-8"))
            models.append(Model.of(facts.parent, said["tokens"], decayed=said["decayed"]))
    if not models:
        sys.exit(f"{runs} has no model: expected {runs}/SHAPE/TOKENS/{FACTS}")
    return sorted(models, key=lambda model: (model.layers * model.hidden, model.tokens_seen))


def models_of(given: argparse.Namespace) -> list[Model]:
    """Those of `--runs`, then those of `--also`."""
    models = found(given.runs) if given.runs else []
    return models + [Model.seen_from_outside(named) for named in given.also]


def written(results: Path, new: Mapping[str, Any]) -> None:
    """Put what was measured into the JSON, and leave what the other step measured there."""
    known = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    write_json(results, {**known, **new})


def measured(
    models: Sequence[Model], collections: Sequence[str], work: Path, queries: int
) -> dict[str, Any]:
    """Evaluate each model; what is to be committed."""
    specs = [
        f"{retriever}:encoder={model.label}={model.folder.resolve()}"
        for model in models
        for retriever in RETRIEVERS
    ]
    results = evaluate(
        collections,
        make_systems([], specs),
        work,
        measures=[MEASURE],
        queries=queries,
        keep_texts=False,
        progress=progress_lines(),
    )
    if results.failed:
        sys.exit("; ".join(f"{name} failed: {why}" for name, why in results.failed.items()))
    by_label = {model.label: model for model in models}
    rows = []
    for row in results.rows:
        label, _, retriever = row.system.rpartition("/")
        facts = asdict(by_label[label])
        del facts["folder"]
        rows.append(
            facts
            | {"collection": row.collection, "queries": row.queries, "retriever": retriever}
            | {"ndcg_at_10": round(row.value, 4)}
        )
    return environment(PACKAGES) | {"rows": rows}


@dataclass(frozen=True, slots=True)
class Sample:
    """What speed is measured on.

    Attributes:
        tokens: of the passages, at least, as the first model's tokenizer counts them.
        rounds: each model encodes the passages so often.
    """

    collections: tuple[str, ...]
    tokens: int
    rounds: int

    def passages(self, encoder: Encoder) -> list[str]:
        """Passages of documents drawn from all the collections, always the same ones."""
        documents = [
            title_and_text(document)
            for source in self.collections
            for collection in load(source)
            for document in collection.documents
        ]
        taken: list[str] = []
        tokens = 0
        for at in np.random.default_rng(0).permutation(len(documents)):
            text = documents[at]
            for passage in chunk(
                Document("", text), encoder.token_spans, max_tokens=PASSAGE_TOKENS
            ):
                part = text[passage.start : passage.end]
                taken.append(part)
                tokens += len(encoder.token_spans(part))
            if tokens >= self.tokens:
                break
        return taken


def timed(models: Sequence[Model], sample: Sample) -> dict[str, Any]:
    """Tokens that each name's last model encodes a second, heads included; nothing is indexed.

    The models take turns, so that what else the machine does for a while meets them all.
    """
    last = {model.name: model for model in models}  # a name's models come in order of tokens
    encoders = {name: load_encoder(model.folder) for name, model in last.items()}
    passages = sample.passages(next(iter(encoders.values())))
    for encoder in encoders.values():
        _rate(encoder, passages[:20])  # the first run pays for what is loaded once
    rates: dict[str, list[float]] = {name: [] for name in last}
    for number in range(sample.rounds):
        for name, encoder in encoders.items():
            rates[name].append(_rate(encoder, passages))
            said = f"{name}: {rates[name][-1]:,.0f} tokens/s"
            print(f"round {number + 1}/{sample.rounds}, {said}", file=sys.stderr, flush=True)
    rows = [
        {"name": name, "shape": model.shape, "tokens_seen": model.tokens_seen}
        | {"tokens_per_s": round(median(rates[name])), "rounds": [*map(round, rates[name])]}
        for name, model in last.items()
    ]
    names = [collection.name for source in sample.collections for collection in load(source)]
    return environment(PACKAGES) | {"passages_of": names, "passages": len(passages), "rows": rows}


def _rate(encoder: Encoder, passages: Sequence[str]) -> float:
    """Tokens a second, the two special ones of each passage counted."""
    tokens = sum(min(len(encoder.token_spans(t)) + 2, encoder.max_tokens) for t in passages)
    started = time.perf_counter()
    encoder.encode_documents(passages)
    return tokens / (time.perf_counter() - started)


def learning(rows: Sequence[Mapping[str, Any]]) -> str:
    """nDCG@10 against tokens seen, a line for each size."""
    return line_chart(
        [
            Panel(retriever, "million tokens seen in training", MEASURE, lines)
            for retriever, lines in _lines(rows, lambda row: row["tokens_seen"] / 1e6).items()
        ],
        note=f"mean of {_collections(rows)}; hollow: the learning rate had not decayed yet",
    )


def speed(result: Mapping[str, Any]) -> str:
    """nDCG@10 against tokens a second, a point for each size as it was in the end."""
    if "speed" not in result:
        sys.exit("no speed was measured; take the step speed on a silent machine first")
    known = {row["name"]: row for row in result["speed"]["rows"]}
    rows = [
        row
        for row in result["rows"]
        if row["tokens_seen"] == known.get(row["name"], {}).get("tokens_seen")
    ]
    across = _lines(rows, lambda row: known[row["name"]]["tokens_per_s"] / 1e3)
    return line_chart(
        [
            Panel(retriever, "thousand tokens a second on the CPU", MEASURE, points)
            for retriever, points in across.items()
        ],
        note=f"mean of {_collections(rows)}; speed of encoding their passages",
    )


def _collections(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(row["collection"] for row in rows))


def _lines(
    rows: Sequence[Mapping[str, Any]], across: Callable[[Mapping[str, Any]], float]
) -> dict[str, list[Series]]:
    """By retriever, a series for each name, of the means over the collections."""
    models = {(row["name"], row["tokens_seen"]): row["decayed"] for row in rows}
    names = list(dict.fromkeys(name for name, _ in models))
    panels: dict[str, list[Series]] = {}
    for retriever in RETRIEVERS:
        panels[retriever] = []
        for name in names:
            points = []
            for (of, seen), decayed in sorted(models.items()):
                own = [
                    row
                    for row in rows
                    if (row["name"], row["tokens_seen"], row["retriever"])
                    == (name, seen, retriever)
                ]
                if of == name and own:
                    x, y = fmean(map(across, own)), fmean(row["ndcg_at_10"] for row in own)
                    points.append(Point(x, y, filled=decayed))
            panels[retriever].append(Series(name, points))
    return panels


if __name__ == "__main__":
    sys.exit(main())
