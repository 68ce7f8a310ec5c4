"""The server against the library in the same run, killed, under damaged requests, and under load.

    python benchmarks/service.py COLLECTION --out FILE.json [--minutes 3] [--only PART...]
                                 [--peer NAME=PID=URL ...]

Indexes the first documents of a collection in BEIR's format (10,000 passages), starts
`retrieval serve` as a process of its own, and then measures:

- search: 16 clients over HTTP, and 16 threads of another process that calls the library, in
  alternating rounds;
- embeddings: 4 clients that send 16 texts of mixed lengths per call, and 4 threads of that process
  that pass the same texts to the encoder, in alternating rounds;
- peers: the same calls, with texts of at most 128 words, to this server and to other running
  servers with OpenAI's interface, in alternating rounds;
- page: Chromium types queries; the time from the server's answer until hits are drawn;
- agent: `retrieval mcp` is started, initialised, and searched;
- restart: the server is killed by SIGKILL after a document was added, and started again;
- hostile: damaged requests (`hostile_requests.py`) from 32 threads;
- mixed: concurrent searches, embeddings and writes; each answer is compared with the library's
  for the same generation.

`--only` measures some of these parts and leaves the others in the file as they are. Ratios are of
medians over alternating rounds, so that load from elsewhere hardly changes them; times are not.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from command import run_main
from environment import environment
from json_files import write_json
from service_steps.agent import mcp_latencies
from service_steps.faults import damaged_requests, restart
from service_steps.mixed import mixed_load
from service_steps.page import drawing_latencies
from service_steps.peers import Peer, compare_servers, parse_peer
from service_steps.processes import library, serving
from service_steps.speed import embeddings, search

from retrieval import Document, Index
from retrieval.eval import load_beir

PACKAGES = ("modernbert-retrieval", "starlette", "uvicorn", "prometheus-client", "numpy")
PARTS = ("search", "embeddings", "peers", "page", "agent", "restart", "hostile", "mixed")
PEER_WORDS = 128
"""At most, of a text sent to peers, since MiniLM reads 256 tokens."""


def main() -> None:
    """Index, measure the chosen parts, and write the result after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--index", type=Path, help="an index to use, or where to create one")
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--queries", type=int, default=96, help="of each round")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=PID=URL", help="a server to compare"
    )
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    dataset = load_beir(args.collection)
    queries = list(dataset.queries.values())
    peers = dict(map(parse_peer, args.peer))
    texts = [document.text for document in itertools.islice(dataset.documents, 600)]
    mixed_texts = mixed_lengths(texts)
    previous = json.loads(args.out.read_text()) if args.out and args.out.exists() else {}
    provenance = environment(PACKAGES)
    run_facts = {name: provenance.pop(name) for name in ("commit", "uncommitted_changes", "date")}
    run_facts |= {"note": args.note, "load": os.getloadavg()}
    result: dict[str, Any] = provenance | {
        "collection": dataset.name,
        "measured": dict(previous.get("measured", {})),
        **{part: previous[part] for part in PARTS if part in previous and part not in args.only},
    }

    def save_part(name: str, part: Any) -> None:
        result[name] = part
        result["measured"][name] = run_facts
        print(name, json.dumps(part), flush=True)
        if args.out:
            write_json(args.out, result)

    with tempfile.TemporaryDirectory() as scratch:
        if {"search", "embeddings", "peers", "page", "agent"} & set(args.only):
            folder = args.index or Path(scratch) / "index"
            if not (folder / "store.sqlite").exists():
                build_index(folder, iter(dataset.documents), args.passages)
            if "agent" in args.only:
                save_part("agent", mcp_latencies(folder, queries))
            with serving(folder) as server, library(folder) as in_library:
                if "search" in args.only:
                    save_part(
                        "search", search(server, in_library, queries, args.rounds, args.queries)
                    )
                if "embeddings" in args.only:
                    save_part(
                        "embeddings", embeddings(server, in_library, mixed_texts, args.rounds)
                    )
                if "peers" in args.only and peers:
                    this_server = {"retrieval": Peer(server, "/v1")}
                    short_texts = mixed_lengths(texts, longest=PEER_WORDS)
                    save_part(
                        "peers", compare_servers(this_server | peers, short_texts, args.rounds)
                    )
                if "page" in args.only:
                    save_part("page", drawing_latencies(server, queries[:20]))
        small = Path(scratch) / "small"
        build_index(small, iter(dataset.documents), 200)
        if "restart" in args.only:
            save_part("restart", [restart(small, number) for number in range(5)])
        if "hostile" in args.only:
            with serving(small, "--allow-write") as server:
                save_part("hostile", damaged_requests(server, args.requests))
        if "mixed" in args.only:
            save_part("mixed", mixed_load(small, queries[:10], args.minutes))


def build_index(folder: Path, documents: Iterator[Document], passages: int) -> None:
    """Index the collection's first documents, until there are about so many passages."""
    with Index.create(folder) as index:
        while (missing := passages - index.status().passages) > 0:
            if not (batch := list(itertools.islice(documents, max(missing // 2, 1)))):
                break
            index.add(batch)


def mixed_lengths(texts: Sequence[str], *, longest: int = 256) -> list[str]:
    """The texts cut to 4, 8, 16, ... words in turn, up to `longest`."""
    lengths = itertools.cycle(
        length for length in (4, 8, 16, 32, 64, 128, 256) if length <= longest
    )
    return [" ".join(text.split()[:count]) for text, count in zip(texts, lengths, strict=False)]


if __name__ == "__main__":
    run_main(main)
