"""The documents that the tests store."""

from __future__ import annotations

from haystack.dataclasses import Document

NOTES = [
    Document(id="a", content="A writer takes the lock.", meta={"year": 2021, "title": "Locks"}),
    Document(id="b", content="Readers keep a snapshot.", meta={"year": 2024}),
    Document(id="c", content="Rotary positions need no table.", meta={"tags": ["rope", "x"]}),
]
