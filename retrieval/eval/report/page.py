"""One HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from retrieval.eval.report.data import QUERIES, WITH_PASSAGES, DrillDown, Query, ReportData
from retrieval.eval.report.markdown import protocol_facts
from retrieval.eval.results import Results

_ASSETS = Path(__file__).parent


def page(results: Results, data: ReportData) -> str:
    """The page: style, script and figures within, nothing fetched, nothing of the data run."""
    style, script = _asset("page.css"), _asset("page.js")
    return (
        _asset("page.html")
        .replace("{{policy}}", _policy(style, script))
        .replace("{{style}}", style)
        .replace("{{script}}", script)
        # The data last: what it holds is never taken for a place to fill.
        .replace("{{data}}", _escaped(_payload(results, data)))
    )


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """A policy under which a browser runs this style and this script, and loads nothing."""

    def allowed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return f"default-src 'none'; style-src {allowed(style)}; script-src {allowed(script)}"


def _escaped(value: Any) -> str:
    """JSON in ASCII in which nothing can end the script element that holds it."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _payload(results: Results, data: ReportData) -> dict[str, Any]:
    return {
        "created": results.created,
        "machine": dict(results.machine),
        "versions": dict(results.versions),
        "collections": results.collections,
        "systems": results.systems,
        "measures": results.measures,
        "rows": [dataclasses.asdict(row) for row in results.rows],
        "marks": {
            reference: {
                measure: {
                    collection: {name: [m.difference, m.p] for name, m in systems.items()}
                    for collection, systems in by_collection.items()
                }
                for measure, by_collection in by_measure.items()
            }
            for reference, by_measure in data.marks.items()
        },
        "efficiency": [dataclasses.asdict(cost) for cost in results.efficiency],
        "protocols": {p.collection: protocol_facts(p) for p in results.protocols},
        "failed": dict(results.failed),
        "drills": {name: _drill(results, drill) for name, drill in data.drill_downs.items()},
        "limits": {"queries": QUERIES, "passages": WITH_PASSAGES},
    }


def _drill(results: Results, drill: DrillDown) -> dict[str, Any]:
    """A drill in few bytes: values by the places of systems and measures, to four digits."""

    def values(query: Query) -> list[list[float | None] | None]:
        found = []
        for system in results.systems:
            own = query.values.get(system)
            row = own and [_short(own.get(measure)) for measure in results.measures]
            found.append(row or None)
        return found

    return {
        "total": drill.total,
        "queries": [
            {
                "id": query.id,
                "text": query.text,
                "values": values(query),
                "ranked": {
                    system: [(r.document, _short(r.score), r.grade) for r in ranked]
                    for system, ranked in query.ranked.items()
                },
            }
            for query in drill.queries
        ],
        "documents": dict(drill.documents),
    }


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
