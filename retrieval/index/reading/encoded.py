"""What the encoder read of stored passages, to encode them again or to locate their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.index.context_builder import ContextBuilder, path_of
from retrieval.index.long_context import PassageEncoder
from retrieval.index.reading.snapshot import Snapshot
from retrieval.types import Encoder


@dataclass(frozen=True, slots=True)
class Stretch:
    """Passages that are encoded together; without long context just one.

    Attributes:
        ids: the passages' ids, in order.
        texts: what the encoder reads of each: context and text.
        leads: how many characters of each text are context.
    """

    ids: list[int]
    texts: list[str]
    leads: list[int]


def passage_encoder(snapshot: Snapshot, encoder: Encoder) -> PassageEncoder:
    """The way the index's passages are encoded."""
    return PassageEncoder(encoder, long_context=snapshot.store.settings.long_context)


def stretches_of(
    snapshot: Snapshot, encoder: PassageEncoder, contexts: ContextBuilder, ids: Sequence[int]
) -> list[Stretch]:
    """The stretches with these passages; with long context they contain others as well."""
    store = snapshot.store
    rows = store.passages(ids)
    runs = [[rows[id]] for id in ids]
    if store.settings.long_context:
        runs = [store.passages_of(number) for number in sorted({row.document for (row,) in runs})]
    documents = store.documents(sorted({row.document for run in runs for row in run}))
    stored = store.passage_texts(row for run in runs for row in run)
    wanted, found = set(ids), []
    for run in runs:
        document = documents[run[0].document]
        path = path_of(document.metadata)
        leads = [contexts.before(document.title, path, row.context, stored[row.id]) for row in run]
        texts = [lead + stored[row.id] for lead, row in zip(leads, run, strict=True)]
        first = 0
        for read_together in encoder.stretches(texts):
            part = slice(first, first + len(read_together))
            first = part.stop
            own = [row.id for row in run[part]]
            if not wanted.isdisjoint(own):
                found.append(Stretch(own, read_together, [len(lead) for lead in leads[part]]))
    return found
