"""The tail of a search over many shards, by a discrete-event simulation of their replicas.

    python benchmarks/shard_tail.py --service benchmarks/results/shards.json --out results.json
    python benchmarks/shard_tail.py --draw results.json --out docs/shard-tail.svg

Queries arrive by chance, at `LOAD` of what the replicas could answer. Each asks one replica of
every shard, the one with less to do, and is answered when the last shard is. A replica answers
`WORKERS` questions at a time, others wait. How long a question takes is drawn from what one shard
took here, and now and then, `STRAGGLERS`, that many times longer: a pause of the machine, a page
that is not in memory. Where it is hedged, a second replica is asked after the time in which 95 %
are answered; both then work on it, as they do in the router. A replica fails once in `FAILS_EVERY`
questions and is away for `AWAY`; what it was asked goes to the other one. Times are in medians of
the service time, so that they hold for shards of any size as far as they have the same spread.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from chart import Panel, Point, Series, line_chart
from command import run_main
from environment import environment
from json_files import write_json
from numpy.typing import NDArray

SHARDS = (1, 10, 100, 1000)
QUERIES = 1000
WORKERS = 8
"""Questions that a replica answers at a time."""

LOAD = 0.3
STRAGGLERS = ((0.0, 1.0), (0.01, 10.0), (0.001, 100.0))
"""Shares of the questions, and how many times longer those take."""

FAILS_EVERY = 20_000
"""Questions. Of a thousand replicas some fail during every run."""

AWAY = 1000.0
"""Medians for which a replica that failed is away: 5 s of 5 ms each."""

HEDGED_AFTER = 0.95
QUANTILES = (0.5, 0.95, 0.99)
ARRIVES, HEDGES = range(2)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is simulated.

    Attributes:
        share: of the questions that are stragglers.
        factor: how many times longer they take.
        hedged: whether a second replica is asked.
        fails: whether replicas fail.
    """

    share: float
    factor: float
    hedged: bool
    fails: bool


class Shard:
    """Two replicas of one shard, and the questions of all queries to it."""

    def __init__(
        self,
        arrivals: NDArray[np.float64],
        service: NDArray[np.float64],
        setting: Setting,
        after: float,
        drawn_by: np.random.Generator,
    ) -> None:
        self._setting = setting
        self._after = after
        self._drawn = drawn_by
        self._service = service
        self._times = self._drawn_times()
        # Of each replica, when each of its workers has done what it was asked.
        self._free = [[0.0] * WORKERS, [0.0] * WORKERS]
        self._away = [-1.0, -1.0]  # until when it is away
        self._events: list[tuple[float, int, int]] = [
            (float(at), ARRIVES, query) for query, at in enumerate(arrivals)
        ]
        heapq.heapify(self._events)
        self._turn = 0
        self._first: dict[int, int] = {}  # who was asked first, of queries that may be hedged
        self.answered = np.full(len(arrivals), np.inf)
        self.refused = 0

    def run(self) -> None:
        """Until all is answered."""
        while self._events:
            now, kind, query = heapq.heappop(self._events)
            if kind == HEDGES:
                if self.answered[query] > now:
                    self._ask(now, query, self._choose(now, but=self._first[query]))
                continue
            replica = self._choose(now)
            ends = self._ask(now, query, replica)
            if ends is None:
                self.refused += 1
                self.answered[query] = now
            elif replica is not None and self._setting.hedged and ends > now + self._after:
                self._first[query] = replica
                heapq.heappush(self._events, (now + self._after, HEDGES, query))

    def _choose(self, now: float, but: int | None = None) -> int | None:
        able = [one for one in (0, 1) if self._away[one] <= now and one != but]
        self._turn = 1 - self._turn
        turns = able if self._turn else able[::-1]
        return min(turns, key=lambda one: sum(free > now for free in self._free[one]), default=None)

    def _ask(self, now: float, query: int, replica: int | None) -> float | None:
        """When it is answered; None if there is nobody."""
        if replica is None:
            return None
        begins = max(now, self._free[replica][0])
        took, fails = next(self._times)
        ends = begins + took
        if fails:
            lost = begins + (ends - begins) * self._drawn.random()
            self._away[replica] = lost + AWAY
            self._free[replica] = [lost + AWAY] * WORKERS
            other = 1 - replica
            return self._ask(lost, query, other if self._away[other] <= lost else None)
        heapq.heapreplace(self._free[replica], ends)
        self.answered[query] = min(self.answered[query], ends)
        return ends

    def _drawn_times(self) -> Iterator[tuple[float, bool]]:
        """How long a question takes, and whether the replica fails meanwhile."""
        setting, drawn_by = self._setting, self._drawn
        while True:
            times = drawn_by.choice(self._service, QUERIES)
            times[drawn_by.random(QUERIES) < setting.share] *= setting.factor
            fails = drawn_by.random(QUERIES) < (1 / FAILS_EVERY if setting.fails else 0.0)
            yield from zip(times.tolist(), fails.tolist(), strict=True)


def simulated(service: NDArray[np.float64], shards: int, setting: Setting) -> dict[str, Any]:
    """Quantiles of a search, in medians of the service time."""
    drawn_by = np.random.default_rng(shards)
    mean = float(service.mean()) * (1 + setting.share * (setting.factor - 1))
    arrivals = np.cumsum(drawn_by.exponential(mean / (2 * WORKERS * LOAD), QUERIES))
    straggling = drawn_by.random(100_000) < setting.share
    many = drawn_by.choice(service, 100_000) * np.where(straggling, setting.factor, 1.0)
    after = float(np.quantile(many, HEDGED_AFTER))
    latest = np.zeros(QUERIES)
    refused = 0
    for _ in range(shards):
        one = Shard(arrivals, service, setting, after, drawn_by)
        one.run()
        refused += one.refused
        latest = np.maximum(latest, one.answered - arrivals)
    return {
        "shards": shards,
        "stragglers": setting.share,
        "times_longer": setting.factor,
        "hedged": setting.hedged,
        "fails": setting.fails,
        "refused": refused,
        **{f"p{100 * q:g}": round(float(np.quantile(latest, q)), 2) for q in QUANTILES},
    }


def main() -> None:
    """Simulate, and write what came of it; or draw that."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", type=Path)
    parser.add_argument("--draw", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.draw is not None:
        args.out.write_text(picture(json.loads(args.draw.read_text("utf-8"))), encoding="utf-8")
        return
    measured = json.loads(args.service.read_text("utf-8"))["service"]
    service = np.array(measured["samples_ms"])
    service /= np.median(service)
    rows = [
        simulated(service, shards, Setting(share, factor, hedged, fails))
        for share, factor in STRAGGLERS
        for hedged in (False, True)
        for fails in (False, True)
        for shards in SHARDS
    ]
    result = {
        "load": LOAD,
        "queries": QUERIES,
        "service": {name: measured[name] for name in ("passages", "search_ms")},
        "rows": rows,
        "environment": environment(("numpy",)),
    }
    write_json(args.out, result)


def picture(result: dict[str, Any]) -> str:
    """p99 by the number of shards."""
    panels = []
    for share, factor in STRAGGLERS:
        title = f"{100 * share:g} % take {factor:g} times longer" if share else "no stragglers"
        series = [
            Series(
                ("hedged" if hedged else "not hedged") + (", failures" if fails else ""),
                [
                    Point(row["shards"], row["p99"], filled=not fails)
                    for row in result["rows"]
                    if (row["stragglers"], row["hedged"], row["fails"]) == (share, hedged, fails)
                ],
            )
            for hedged in (False, True)
            for fails in (False, True)
        ]
        panels.append(Panel(title, "shards", "p99, in medians", series))
    return line_chart(panels, logarithmic=True)


if __name__ == "__main__":
    run_main(main)
