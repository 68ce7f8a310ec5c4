"""What a model's size and its training cost and gain: nDCG@10, tokens seen, tokens per second.

    python benchmarks/model_sizes.py evaluate --runs RUNS --work FOLDER \\
        --collections COLLECTION... --also MODEL=TOKENS
    python benchmarks/model_sizes.py speed draw --runs RUNS \\
        --collections COLLECTION... --also MODEL=TOKENS

RUNS is what `lab.recipes.model_sizes` wrote; `--also` names a model folder and the number of tokens
of its training. `evaluate` indexes and searches the collections as `retrieval eval` does, with the
int8 graph on the CPU, and writes `benchmarks/results/model_sizes.json`. It continues an interrupted
run, and the machine may be busy. `speed` needs an idle machine: it encodes the same passages of the
collections with the last model of each size in turn, and adds tokens per second to that JSON.
`draw` makes `docs/model-learning.svg` and `docs/model-speed.svg` of it.
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
from published import MEASURE, evaluate_measure

from retrieval.documents import chunk
from retrieval.encoders.loading import load_encoder
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.quantized import SCALE, tensor_places
from retrieval.encoders.model_folder import QUERY_WEIGHTS, WEIGHTS_FILE, read_config
from retrieval.errors import RetrievalError
from retrieval.eval import load, make_systems
from retrieval.eval.systems.system import title_and_text
from retrieval.eval.systems.variants import PASSAGE_TOKENS
from retrieval.types import Document, Encoder

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "model_sizes.json"
PICTURES = ROOT / "docs"
LEARNING, SPEED = "model-learning.svg", "model-speed.svg"
RETRIEVERS = ("dense", "late")
PACKAGES = ("modernbert-retrieval", "onnxruntime", "faiss-cpu", "tokenizers", "numpy")
FACTS_FILE, PARTIAL_SUFFIX = "training.json", ".part"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen steps; the exit code."""
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
            result = evaluate_models(chosen_models(args), args.collections, args.work, args.queries)
            update_results(args.results, result)
        if "speed" in args.steps:
            sample = Sample(tuple(args.collections), args.tokens, args.rounds)
            update_results(args.results, {"speed": measure_speed(chosen_models(args), sample)})
        if "draw" in args.steps:
            result = json.loads(args.results.read_text(encoding="utf-8"))
            (args.pictures / LEARNING).write_text(learning_chart(result["rows"]), encoding="utf-8")
            (args.pictures / SPEED).write_text(speed_chart(result), encoding="utf-8")
    except (RetrievalError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@dataclass(frozen=True, slots=True)
class Model:
    """A model folder and how it was trained.

    Attributes:
        folder: the model folder.
        name: of its line in the charts; models of one name are one run at several times.
        shape: layers x hidden size.
        layers: number of layers.
        hidden: hidden size.
        parameters: of the trunk with its embedding table, and of the heads.
        bytes: size of the folder's files.
        tokens_seen: in training.
        decayed: whether the learning rate had decayed when it was written.
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
        """The model in a folder, named after its shape unless another name is given.

        Raises:
            CheckpointError: the folder is no model folder.
        """
        config = ModernBertConfig.from_dict(read_config(folder))
        tensors = tensor_places(folder / WEIGHTS_FILE)
        shape = f"{config.num_layers}x{config.hidden_size}"
        return cls(
            folder=folder,
            name=name or shape,
            shape=shape,
            layers=config.num_layers,
            hidden=config.hidden_size,
            parameters=sum(
                math.prod(info.shape)
                for tensor, info in tensors.items()
                if not tensor.endswith(SCALE) and tensor != QUERY_WEIGHTS
            ),
            bytes=sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
            tokens_seen=tokens_seen,
            decayed=decayed,
        )

    @classmethod
    def parse(cls, argument: str) -> Model:
        """A finished model from an argument `MODEL=TOKENS`, named after its folder."""
        folder, _, tokens = argument.rpartition("=")
        if not folder or not tokens.replace("_", "").isdigit():
            sys.exit(f"--also {argument}: expected MODEL=TOKENS, such as models/mine=9000000")
        path = Path(folder)
        return cls.of(path, int(tokens), decayed=True, name=path.resolve().name)

    @property
    def label(self) -> str:
        """Its name among the evaluated systems."""
        return f"{self.name}@{self.tokens_seen}"


def models_in(runs: Path) -> list[Model]:
    """The models of every shape in a folder of runs, by size and tokens."""
    models = []
    for facts in runs.glob(f"*/*/{FACTS_FILE}"):
        if facts.parent.suffix != PARTIAL_SUFFIX:
            said = json.loads(facts.read_text(encoding="utf-8"))
            models.append(Model.of(facts.parent, said["tokens"], decayed=said["decayed"]))
    if not models:
        sys.exit(f"{runs} has no model: expected {runs}/SHAPE/TOKENS/{FACTS_FILE}")
    return sorted(models, key=lambda model: (model.layers * model.hidden, model.tokens_seen))


def chosen_models(args: argparse.Namespace) -> list[Model]:
    """The models of `--runs`, then those of `--also`."""
    models = models_in(args.runs) if args.runs else []
    return models + [Model.parse(named) for named in args.also]


def update_results(results: Path, new: Mapping[str, Any]) -> None:
    """Add the values to the JSON file, keeping those of other steps."""
    known = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    write_json(results, {**known, **new})


def evaluate_models(
    models: Sequence[Model], collections: Sequence[str], work: Path, queries: int
) -> dict[str, Any]:
    """Evaluate each model; the result to be committed."""
    specs = [
        f"{retriever}:encoder={model.label}={model.folder.resolve()}"
        for model in models
        for retriever in RETRIEVERS
    ]
    found = evaluate_measure(collections, make_systems([], specs), work, queries)
    by_label = {model.label: model for model in models}
    rows = []
    for row in found:
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
        collections: folders whose documents are drawn from.
        tokens: of all passages together, at least, by the first model's tokenizer.
        rounds: how often each model encodes the passages.
    """

    collections: tuple[str, ...]
    tokens: int
    rounds: int

    def passages(self, encoder: Encoder) -> list[str]:
        """Passages of documents drawn from all collections, with a fixed seed."""
        documents = [
            title_and_text(document)
            for source in self.collections
            for collection in load(source)
            for document in collection.documents
        ]
        passages: list[str] = []
        tokens = 0
        for index in np.random.default_rng(0).permutation(len(documents)):
            text = documents[index]
            for passage in chunk(
                Document("", text), encoder.token_spans, max_tokens=PASSAGE_TOKENS
            ):
                passage_text = text[passage.start : passage.end]
                passages.append(passage_text)
                tokens += len(encoder.token_spans(passage_text))
            if tokens >= self.tokens:
                break
        return passages


def measure_speed(models: Sequence[Model], sample: Sample) -> dict[str, Any]:
    """Tokens per second that each name's last model encodes, heads included; nothing is indexed.

    The models take turns, so that load from elsewhere meets all of them.
    """
    last_models = {
        model.name: model for model in models
    }  # models of one name come in order of tokens
    encoders = {name: load_encoder(model.folder) for name, model in last_models.items()}
    passages = sample.passages(next(iter(encoders.values())))
    for encoder in encoders.values():
        _tokens_per_second(encoder, passages[:20])  # warmup
    rates: dict[str, list[float]] = {name: [] for name in last_models}
    for round_number in range(sample.rounds):
        for name, encoder in encoders.items():
            rates[name].append(_tokens_per_second(encoder, passages))
            shown = f"{name}: {rates[name][-1]:,.0f} tokens/s"
            print(f"round {round_number + 1}/{sample.rounds}, {shown}", file=sys.stderr, flush=True)
    rows = [
        {"name": name, "shape": model.shape, "tokens_seen": model.tokens_seen}
        | {"tokens_per_s": round(median(rates[name])), "rounds": [*map(round, rates[name])]}
        for name, model in last_models.items()
    ]
    names = [collection.name for source in sample.collections for collection in load(source)]
    return environment(PACKAGES) | {"passages_of": names, "passages": len(passages), "rows": rows}


def _tokens_per_second(encoder: Encoder, passages: Sequence[str]) -> float:
    """Tokens per second, with the two special tokens of each passage."""
    tokens = sum(min(len(encoder.token_spans(t)) + 2, encoder.max_tokens) for t in passages)
    started = time.perf_counter()
    encoder.encode_documents(passages)
    return tokens / (time.perf_counter() - started)


def learning_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """nDCG@10 by tokens seen in training, a line for each size."""
    return line_chart(
        [
            Panel(retriever, "million tokens seen in training", MEASURE, lines)
            for retriever, lines in _series_by_retriever(
                rows, lambda row: row["tokens_seen"] / 1e6
            ).items()
        ],
        note=f"mean of {_collection_names(rows)}; hollow: the learning rate had not decayed yet",
    )


def speed_chart(result: Mapping[str, Any]) -> str:
    """nDCG@10 by tokens per second, a point for each size's last model."""
    if "speed" not in result:
        sys.exit("no speed was measured; take the step speed on a silent machine first")
    speeds = {row["name"]: row for row in result["speed"]["rows"]}
    rows = [
        row
        for row in result["rows"]
        if row["tokens_seen"] == speeds.get(row["name"], {}).get("tokens_seen")
    ]
    series = _series_by_retriever(rows, lambda row: speeds[row["name"]]["tokens_per_s"] / 1e3)
    return line_chart(
        [
            Panel(retriever, "thousand tokens a second on the CPU", MEASURE, points)
            for retriever, points in series.items()
        ],
        note=f"mean of {_collection_names(rows)}; speed of encoding their passages",
    )


def _collection_names(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(row["collection"] for row in rows))


def _series_by_retriever(
    rows: Sequence[Mapping[str, Any]], x_of: Callable[[Mapping[str, Any]], float]
) -> dict[str, list[Series]]:
    """A series for each name, of means over the collections, by retriever."""
    models = {(row["name"], row["tokens_seen"]): row["decayed"] for row in rows}
    names = list(dict.fromkeys(name for name, _ in models))
    panels: dict[str, list[Series]] = {}
    for retriever in RETRIEVERS:
        panels[retriever] = []
        for name in names:
            points = []
            for (model_name, seen), decayed in sorted(models.items()):
                model_rows = [
                    row
                    for row in rows
                    if (row["name"], row["tokens_seen"], row["retriever"])
                    == (name, seen, retriever)
                ]
                if model_name == name and model_rows:
                    x, y = (
                        fmean(map(x_of, model_rows)),
                        fmean(row["ndcg_at_10"] for row in model_rows),
                    )
                    points.append(Point(x, y, filled=decayed))
            panels[retriever].append(Series(name, points))
    return panels


if __name__ == "__main__":
    sys.exit(main())
