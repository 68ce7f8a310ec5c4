"""How the server holds: against the library in the same run, killed, sent nonsense, under load.

    python benchmarks/service.py COLLECTION --out FILE.json [--minutes 3] [--only PART...]
                                 [--peer NAME=PID=URL ...]

Indexes the first documents of a collection in BEIR's format (10,000 passages), starts
`retrieval serve` as a process of its own, and then:

- search: 16 clients ask over HTTP, and 16 threads of another process ask the library, in turns;
- embeddings: 4 clients send 16 texts of mixed lengths at once, and 4 threads of that process the
  same to the encoder, in turns;
- peers: the same calls, of texts of at most 128 words, to this server and to others that are
  there already and speak OpenAI's form, in turns;
- page: Chromium types queries, and hits are drawn so long after the server's answer;
- agent: `retrieval mcp` is started, greeted, and asked;
- restart: the server is killed by SIGKILL after a document was added, and started again;
- hostile: damaged requests (`hostile_requests.py`) by 32 threads;
- mixed: readers, embeddings and a writer at once, each answer held to what the library gives for
  the generation that it is of.

`--only` measures some of these parts and leaves the others in the file as they are. Ratios are of
medians over rounds that alternate, so that they bear a machine that others use; times do not.
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
from service_steps.agent import waiting
from service_steps.faults import nonsense, restart
from service_steps.mixed import mixed
from service_steps.page import drawing
from service_steps.peers import Peer, against, peer
from service_steps.processes import library, serving
from service_steps.speed import embeddings, search

from retrieval import Document, Index
from retrieval.eval import load_beir

PACKAGES = ("modernbert-retrieval", "starlette", "uvicorn", "prometheus-client", "numpy")
PARTS = ("search", "embeddings", "peers", "page", "agent", "restart", "hostile", "mixed")
PEER_WORDS = 128
"""Of a text that is sent to peers: MiniLM reads 256 tokens."""


def main() -> None:
    """Build, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--index", type=Path, help="made there, or taken if it is there")
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--queries", type=int, default=96, help="of a round")
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
    peers = dict(map(peer, args.peer))
    longer = [one.text for one in itertools.islice(dataset.documents, 600)]
    texts = mixed_lengths(longer)
    before = json.loads(args.out.read_text()) if args.out and args.out.exists() else {}
    here = environment(PACKAGES)
    now = {name: here.pop(name) for name in ("commit", "uncommitted_changes", "date")}
    now |= {"note": args.note, "load": os.getloadavg()}
    result: dict[str, Any] = here | {
        "collection": dataset.name,
        "measured": dict(before.get("measured", {})),
        **{part: before[part] for part in PARTS if part in before and part not in args.only},
    }

    def tell(name: str, found: Any) -> None:
        result[name] = found
        result["measured"][name] = now
        print(name, json.dumps(found), flush=True)
        if args.out:
            write_json(args.out, result)

    with tempfile.TemporaryDirectory() as scratch:
        if {"search", "embeddings", "peers", "page", "agent"} & set(args.only):
            folder = args.index or Path(scratch) / "index"
            if not (folder / "store.sqlite").exists():
                build(folder, iter(dataset.documents), args.passages)
            if "agent" in args.only:
                tell("agent", waiting(folder, queries))
            with serving(folder) as server, library(folder) as inside:
                if "search" in args.only:
                    tell("search", search(server, inside, queries, args.rounds, args.queries))
                if "embeddings" in args.only:
                    tell("embeddings", embeddings(server, inside, texts, args.rounds))
                if "peers" in args.only and peers:
                    own = {"retrieval": Peer(server, "/v1")}
                    short = mixed_lengths(longer, longest=PEER_WORDS)
                    tell("peers", against(own | peers, short, args.rounds))
                if "page" in args.only:
                    tell("page", drawing(server, queries[:20]))
        small = Path(scratch) / "small"
        build(small, iter(dataset.documents), 200)
        if "restart" in args.only:
            tell("restart", [restart(small, number) for number in range(5)])
        if "hostile" in args.only:
            with serving(small, "--allow-write") as server:
                tell("hostile", nonsense(server, args.requests))
        if "mixed" in args.only:
            tell("mixed", mixed(small, queries[:10], args.minutes))


def build(folder: Path, documents: Iterator[Document], passages: int) -> None:
    """Index the first documents, until there are about so many passages."""
    with Index.create(folder) as index:
        while (missing := passages - index.status().passages) > 0:
            if not (batch := list(itertools.islice(documents, max(missing // 2, 1)))):
                break
            index.add(batch)


def mixed_lengths(texts: Sequence[str], *, longest: int = 256) -> list[str]:
    """The texts cut after 4 to so many words, always the same."""
    lengths = itertools.cycle(one for one in (4, 8, 16, 32, 64, 128, 256) if one <= longest)
    return [" ".join(text.split()[:count]) for text, count in zip(texts, lengths, strict=False)]


if __name__ == "__main__":
    run_main(main)
