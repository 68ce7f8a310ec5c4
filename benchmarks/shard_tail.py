"""Tail latency of a search over many shards, by a discrete-event simulation of their replicas.

    python benchmarks/shard_tail.py --service benchmarks/results/shards.json --out results.json
    python benchmarks/shard_tail.py --draw results.json --out docs/shard-tail.svg

Queries arrive as a Poisson process at `LOAD` of the replicas' capacity. Each asks the less busy
replica of every shard, and is answered when the last shard is. A replica serves `WORKERS` requests
at a time; others wait. Service times are drawn from those measured of one shard. Some requests are
stragglers (`STRAGGLERS`) that take many times longer, as in a pause of the machine or a page fault.
A hedged request goes to the second replica as well after the 95th percentile of service times; both
then work on it, as they do in the router. A replica fails once in `FAILS_EVERY` requests and is
down for `DOWNTIME`; the request goes to the other one. Times are in medians of the service time, so
that they hold for shards of any size with the same spread.
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
"""Requests that a replica serves at a time."""

LOAD = 0.3
STRAGGLERS = ((0.0, 1.0), (0.01, 10.0), (0.001, 100.0))
"""Shares of the requests, and how many times longer those take."""

FAILS_EVERY = 20_000
"""Requests. Of a thousand replicas some fail during every run."""

DOWNTIME = 1000.0
"""In medians of the service time: 5 s of 5 ms each."""

HEDGE_QUANTILE = 0.95
QUANTILES = (0.5, 0.95, 0.99)
ARRIVAL, HEDGE = range(2)


@dataclass(frozen=True, slots=True)
class Setting:
    """One simulated configuration.

    Attributes:
        share: of the requests that are stragglers.
        factor: how many times longer stragglers take.
        hedged: whether slow requests are sent to the second replica as well.
        fails: whether replicas fail.
    """

    share: float
    factor: float
    hedged: bool
    fails: bool


class Shard:
    """Two replicas of one shard, and the requests of all queries to it.

    Attributes:
        answered: f64 [queries], when each request was answered.
        refused: requests that found neither replica up.
    """

    def __init__(
        self,
        arrivals: NDArray[np.float64],
        service: NDArray[np.float64],
        setting: Setting,
        hedge_after: float,
        rng: np.random.Generator,
    ) -> None:
        self._setting = setting
        self._hedge_after = hedge_after
        self._rng = rng
        self._service = service
        self._times = self._draw_times()
        # By replica, a heap of when each of its workers is free.
        self._free_at = [[0.0] * WORKERS, [0.0] * WORKERS]
        self._down_until = [-1.0, -1.0]
        self._events: list[tuple[float, int, int]] = [
            (float(arrival), ARRIVAL, query) for query, arrival in enumerate(arrivals)
        ]
        heapq.heapify(self._events)
        self._turn = 0
        self._first_replica: dict[int, int] = {}  # by query, of those that may be hedged
        self.answered = np.full(len(arrivals), np.inf)
        self.refused = 0

    def run(self) -> None:
        """Process events until every request is answered or refused."""
        while self._events:
            now, kind, query = heapq.heappop(self._events)
            if kind == HEDGE:
                if self.answered[query] > now:
                    self._ask(now, query, self._choose(now, exclude=self._first_replica[query]))
                continue
            replica = self._choose(now)
            end = self._ask(now, query, replica)
            if end is None:
                self.refused += 1
                self.answered[query] = now
            elif replica is not None and self._setting.hedged and end > now + self._hedge_after:
                self._first_replica[query] = replica
                heapq.heappush(self._events, (now + self._hedge_after, HEDGE, query))

    def _choose(self, now: float, exclude: int | None = None) -> int | None:
        """The less busy available replica, by turns where both are alike; None if none is up."""
        available = [
            replica for replica in (0, 1) if self._down_until[replica] <= now and replica != exclude
        ]
        self._turn = 1 - self._turn
        in_turn = available if self._turn else available[::-1]
        return min(
            in_turn,
            key=lambda replica: sum(free_at > now for free_at in self._free_at[replica]),
            default=None,
        )

    def _ask(self, now: float, query: int, replica: int | None) -> float | None:
        """Give a request to a replica; when it will be answered, or None if no replica is up."""
        if replica is None:
            return None
        start = max(now, self._free_at[replica][0])
        service_time, fails = next(self._times)
        end = start + service_time
        if fails:
            failure = start + (end - start) * self._rng.random()
            self._down_until[replica] = failure + DOWNTIME
            self._free_at[replica] = [failure + DOWNTIME] * WORKERS
            other = 1 - replica
            return self._ask(failure, query, other if self._down_until[other] <= failure else None)
        heapq.heapreplace(self._free_at[replica], end)
        self.answered[query] = min(self.answered[query], end)
        return end

    def _draw_times(self) -> Iterator[tuple[float, bool]]:
        """Endless service times, each with whether the replica fails meanwhile."""
        setting, rng = self._setting, self._rng
        while True:
            times = rng.choice(self._service, QUERIES)
            times[rng.random(QUERIES) < setting.share] *= setting.factor
            fails = rng.random(QUERIES) < (1 / FAILS_EVERY if setting.fails else 0.0)
            yield from zip(times.tolist(), fails.tolist(), strict=True)


def simulate(service: NDArray[np.float64], shards: int, setting: Setting) -> dict[str, Any]:
    """Latency percentiles of a search in one setting, in medians of the service time."""
    rng = np.random.default_rng(shards)
    mean = float(service.mean()) * (1 + setting.share * (setting.factor - 1))
    arrivals = np.cumsum(rng.exponential(mean / (2 * WORKERS * LOAD), QUERIES))
    is_straggler = rng.random(100_000) < setting.share
    sample = rng.choice(service, 100_000) * np.where(is_straggler, setting.factor, 1.0)
    hedge_after = float(np.quantile(sample, HEDGE_QUANTILE))
    latest = np.zeros(QUERIES)
    refused = 0
    for _ in range(shards):
        shard = Shard(arrivals, service, setting, hedge_after, rng)
        shard.run()
        refused += shard.refused
        latest = np.maximum(latest, shard.answered - arrivals)
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
    """Simulate every setting and write the result, or draw one that was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", type=Path)
    parser.add_argument("--draw", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.draw is not None:
        args.out.write_text(tail_chart(json.loads(args.draw.read_text("utf-8"))), encoding="utf-8")
        return
    measured = json.loads(args.service.read_text("utf-8"))["service"]
    service = np.array(measured["samples_ms"])
    service /= np.median(service)
    rows = [
        simulate(service, shards, Setting(share, factor, hedged, fails))
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


def tail_chart(result: dict[str, Any]) -> str:
    """p99 by the number of shards, a panel for each share of stragglers."""
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
