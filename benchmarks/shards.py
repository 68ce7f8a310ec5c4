"""Collections in shards: their ranking, what their coordinator and router cost, one shard's times.

    python benchmarks/shards.py COLLECTION... --out results.json [--only PART...] [--shards 1 4 16]
        [--settings uncompressed default compressed] [--queries N]

COLLECTION is a folder in BEIR's format. What is measured goes into the file beside what is there:

- ranking: documents go into one index and into collections of so many shards each, with token
  vectors uncompressed, kept as by default, and all compressed: in shards by a codec that one of
  them trained, in one index by its own and, beside that, by that of the shards. By retriever: the
  share of queries with the same ten hits in the same order, mean overlap of the first ten, and
  nDCG@10 of both, a document scoring as its best passage. What two codecs alone differ by is told
  by the two indexes. The same with a filter, after documents were deleted and changed, and once all
  is compacted;
- coordinator: processor time and bytes of a search that asks 100 and 1,000 shards, which are stubs
  that have their answers ready;
- router: over 16 shards of the first collection in processes of their own, milliseconds of a search
  beyond those from when the slowest shard of each round was asked until it answered; and the
  router's own processor time;
- parallel: over 4 shards in this process, how much sooner a search is answered that asks them in
  threads than one that asks them one by one, in turns;
- service: processor time of one shard of the first collection for a search's questions;
- build: processor time, time and memory of building 4 shards of the first collection: in a process
  that is held to one core, in two, and by two workers of Ray, beside those of one index; how much
  faster two are, by the clock and by processor time, and what each stage took;
- update: bytes that are sent for each of six documents that change, in a shard of 21,000 passages;
- kills: replicas in processes are killed while a part of the first collection is searched: rankings
  held to those of one index, and seconds until a search is answered;
- router_kills: servers that route the queries of a made collection are killed while clients ask
  two of them: rankings held to those of one index, seconds until clients are answered and until the
  server that is started again answers, and processes that are left behind.

`router`, `parallel` and the seconds of `build`, `kills` and `router_kills` need a quiet machine:
the others tell quality, bytes and processor time.
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
    """Measure, and write what was measured."""
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
                made = ranking(args.collections, args.shards, args.settings, args.queries)
                known = result.setdefault("collections", {})
                for name, own in made.items():
                    known[name] = known.get(name, {}) | own
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
