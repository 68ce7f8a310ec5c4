"""Which passages of a stored document its new version keeps: those that are read the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from retrieval.index.context_builder import ContextBuilder, lexical_fields, path_of, same_reading
from retrieval.index.writing.drafts import Draft
from retrieval.store import PassageRow, Store, StoredDocument


def revised(
    draft: Draft,
    stored: StoredDocument,
    store: Store,
    contexts: ContextBuilder,
    *,
    together: bool,
) -> Draft:
    """The draft, with the passages of the stored document that it takes over.

    A passage whose text and context are unchanged for the encoder keeps its id, and so its
    embeddings, even if it moved. Ids of the draft's other passages stay consecutive. If passages
    are read `together` with their neighbours, either all of a document's are kept or none.
    """
    if not same_reading(stored.reader, draft.reader):
        return draft  # its stored embeddings were made from something else
    known: dict[str, list[PassageRow]] = defaultdict(list)
    text = store.texts([stored.number]).get(stored.number, "")
    path = path_of(stored.metadata)
    before = store.passages_of(stored.number)
    for row in reversed(before):
        own = text[row.start : row.end]
        known[contexts.before(stored.title, path, row.context, own) + own].append(row)
    next_id = draft.passages[0].id if draft.passages else 0
    rows: list[PassageRow] = []
    taken: set[int] = set()
    refielded: set[int] = set()
    for row in draft.passages:
        own = draft.text_of(row)
        same = known.get(contexts.before(draft.document.title, draft.path, row.context, own) + own)
        if same:
            old = same.pop()
            taken.add(old.id)
            if _fields(stored, path, old, text) != draft.fields_of(row):
                refielded.add(old.id)
            rows.append(replace(row, id=old.id))
        else:
            rows.append(replace(row, id=next_id))
            next_id += 1
    if together and [row.id for row in rows] != [row.id for row in before]:
        return draft  # their surroundings have changed
    return replace(draft, passages=rows, taken=frozenset(taken), refielded=frozenset(refielded))


def is_relabel(draft: Draft, stored: StoredDocument, store: Store) -> bool:
    """Whether only the stored document's metadata, source or reader change."""
    if draft.document.title != stored.title or draft.refielded:
        return False
    old = store.passages_of(stored.number)
    if [replace(row, document=0) for row in old] != [
        replace(row, document=0) for row in draft.passages
    ]:
        return False
    return store.texts([stored.number]).get(stored.number) == draft.document.text


def _fields(
    stored: StoredDocument, path: str | None, row: PassageRow, text: str
) -> Mapping[str, str]:
    return lexical_fields(stored.title, path, row.context, text[row.start : row.end])
