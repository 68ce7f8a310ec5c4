"""A small collection with everything that a ranking depends on: ties, copies, titles, filters."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from retrieval.types import Document, Hit

WORDS = [f"w{n}" for n in range(120)]
SHARES = [1 / (n + 1) for n in range(120)]

QUERIES = (
    "w3 w50",
    "w0",
    "w7 w8 w9 w10 w11 w12 w13 w14 w15 w16",  # so many that common ones count less
    '"w0 w1" w2',
    "w4 w17 -w0",
    "nowhere w33",
    "seldom said",
    "get_user",
    "Ошибка w5",  # judged by its words alone
)


def documents(count: int = 90, *, seed: int = 5) -> list[Document]:
    """Documents of some passages each; every tenth says what one before it says."""
    drawn = random.Random(seed)
    made: list[Document] = []
    for number in range(count):
        text = "\n\n".join(
            " ".join(drawn.choices(WORDS, SHARES, k=drawn.randint(4, 30)))
            for _ in range(drawn.randint(1, 4))
        )
        if number % 10 == 9:
            text = made[number - 5].text
        if number == 13:
            text += "\n\nseldom said"
        if number == 14:
            text = "def get_user(name):\n    return name\n"
        made.append(
            Document(
                f"folder{number % 3}/d{number:03d}" + (".py" if number == 14 else ".md"),
                text,
                title=" ".join(drawn.choices(WORDS, k=2)) if number % 4 == 0 else "",
                metadata={
                    "path": f"folder{number % 3}/d{number:03d}.md",
                    "lang": ("en", "de")[number % 2],
                    "role": ("source", "test")[number % 5 == 0],
                },
            )
        )
    return made


def shown(hits: Iterable[Hit]) -> list[tuple[object, ...]]:
    """What a ranking is: which passages, in which order, with what beside them."""
    return [
        (
            hit.document_id,
            hit.passage.ordinal,
            hit.text,
            hit.copy_count,
            [(one.document_id, one.ordinal) for one in hit.copies],
            sorted(hit.ranks.items()),
            [(one.document_id, one.passage.ordinal) for one in hit.others],
            hit.highlights,
        )
        for hit in hits
    ]


def scores(hits: Sequence[Hit]) -> list[float]:
    """Scores and relevances."""
    return [value for hit in hits for value in (hit.score, hit.relevance, *hit.scores.values())]
