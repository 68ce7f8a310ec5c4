"""Collections in shards: their ranking, what coordinator and router cost, and one shard's latency.

    python benchmarks/shards.py COLLECTION... --out results.json [--only PART...] [--shards 1 4 16]
        [--settings uncompressed default compressed] [--queries N]

COLLECTION is a folder in BEIR's format. Results are added to those that the file holds already:

- ranking: the same documents in one index and in collections of so many shards, with token vectors
  uncompressed, kept as by default, and all compressed. Shards share a codec that one of them
  trained; the one index trains its own and is built a second time with that of the shards. By
  retriever: the share of queries with the same ten hits in the same order, mean overlap@10, and
  nDCG@10 of both, a document scoring as its best passage. The two single indexes show what
  different codecs alone change. The same with a filter, after deletes and updates, and compacted;
- coordinator: CPU time and bytes of a search over 100 and 1,000 shards, which are stubs with
  prepared answers;
- router: over 16 shards of the first collection in processes of their own, milliseconds of a search
  beyond the slowest shard of each round; and the router's own CPU time;
- parallel: over 4 shards in this process, the speedup of asking them in threads over one by one;
- service: CPU time that one shard of the first collection takes for the requests of a search;
- build: CPU time, wall time and memory of building 4 shards of the first collection: in a process
  held to one core, with two workers, and with two workers of Ray, beside those of one index; the
  speedup of two workers in wall and in CPU time, and every stage;
- update: bytes sent for each of six changed documents, in a shard of 21,000 passages;
- kills: replicas are killed while a part of the first collection is searched: rankings compared
  with those of one index, and seconds until searches are answered again;
- router_kills: servers that route the queries of a generated collection are killed under clients:
  rankings compared with those of one index, seconds until clients are answered and until the
  restarted server answers, and processes left behind.

`router`, `parallel` and the seconds of `build`, `kills` and `router_kills` need an idle machine.
The other parts measure quality, bytes and CPU time.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from command import run_main
from environment import environment
from json_files import write_json
from shards_steps.build import build, update
from shards_steps.coordinator import coordinator
from shards_steps.kills import kills
from shards_steps.ranking import SETTINGS, ranking
from shards_steps.router import parallel, router, service
from shards_steps.router_kills import router_kills

from retrieval.errors import InputError

PACKAGES = ("modernbert-retrieval", "numpy", "tantivy", "obstore", "ir-measures")
PARTS = (
    "ranking",
    "coordinator",
    "router",
    "parallel",
    "service",
    "build",
    "update",
    "kills",
    "router_kills",
)


def main() -> None:
    """Measure the chosen parts, and write the result after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", nargs="*")
    parser.add_argument("--shards", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--queries", type=int, help="of each collection, for its ranking")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if not args.collections and not set(args.only) <= {"coordinator", "update", "router_kills"}:
        raise InputError("no collection was named; give a folder in BEIR's format")
    result: dict[str, Any] = {}
    if args.out.exists():
        result = json.loads(args.out.read_text(encoding="utf-8"))
    for part in args.only:
        match part:
            case "ranking":
                collections = result.setdefault("collections", {})
                for name, settings in ranking(
                    args.collections, args.shards, args.settings, args.queries
                ).items():
                    collections[name] = collections.get(name, {}) | settings
            case "coordinator":
                result[part] = coordinator()
            case "router":
                result[part] = router(args.collections[0])
            case "parallel":
                result[part] = parallel(args.collections[0])
            case "service":
                result[part] = service(args.collections[0])
            case "build":
                result[part] = build(args.collections[0])
            case "update":
                result[part] = update()
            case "kills":
                result[part] = kills(args.collections[0])
            case "router_kills":
                result[part] = router_kills()
        result.setdefault("environments", {})[part] = environment(PACKAGES)
        write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
