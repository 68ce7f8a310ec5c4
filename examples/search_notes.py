"""Index a few notes from memory, search them, filter them.

python examples/search_notes.py [FOLDER]
"""

import sys
import tempfile

from retrieval import Document, Index

NOTES = [
    Document(
        "2024-03-02",
        "The pump in the cellar leaks again; the plumber comes on Tuesday.",
        metadata={"topic": "house", "year": 2024},
    ),
    Document(
        "2024-05-19",
        "Repotted the lemon tree. It wants less water and more light than last summer.",
        metadata={"topic": "garden", "year": 2024},
    ),
    Document(
        "2025-01-11",
        "Water under the washing machine: the hose was loose, not broken.",
        metadata={"topic": "house", "year": 2025},
    ),
]


def main(folder: str) -> None:
    """Build an index in `folder` and print what three searches find."""
    with Index.create(folder) as index:
        index.add(NOTES)
        for query, where in [
            ("something is dripping", None),
            ("how often should I water it", 'topic == "garden"'),
            ("repairs", 'topic == "house" and year >= 2025'),
        ]:
            print(f"{query}  [{where or 'everything'}]")
            for hit in index.search(query, k=2, where=where):
                print(f"  {hit.score:6.3f}  {hit.document_id}  {hit.text}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(temporary)
