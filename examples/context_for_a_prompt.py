"""Gather passages for a language model's prompt: the best ones that fit, each with its source.

retrieval index docs
python examples/context_for_a_prompt.py "what does a commit consist of"
"""

import sys

from retrieval import Hit, Index

CHARACTERS = 4000


def context(index: Index, question: str, *, characters: int = CHARACTERS) -> list[Hit]:
    """The best passages that fit into a number of characters, in the order of their documents."""
    chosen: list[Hit] = []
    left = characters
    for hit in index.search(question, k=30):
        if len(hit.text) <= left:
            chosen.append(hit)
            left -= len(hit.text)
    # Passages of one document read best in the document's order.
    return sorted(chosen, key=lambda hit: (hit.document_id, hit.passage.start))


def prompt(question: str, hits: list[Hit]) -> str:
    """The sources, numbered so that an answer can cite them, and then the question."""
    sources = [
        f"[{number}] {hit.document_id}, lines {hit.start_line} to {hit.end_line}\n{hit.text}"
        for number, hit in enumerate(hits, start=1)
    ]
    rule = "Answer from these sources only, and cite them by number."
    return "\n\n".join([*sources, rule, f"Question: {question}"])


def main(question: str) -> None:
    """Print a prompt for the question, with sources from the index in the current folder."""
    with Index.open(".retrieval") as index:
        print(prompt(question, context(index, question)))


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "what does a commit consist of")
