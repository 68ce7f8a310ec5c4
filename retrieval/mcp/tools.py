"""The tools: search, read, outline, find_related, status, and index if writing is allowed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.mcp.importing import import_services
from retrieval.mcp.results import Budget, cut, hits_result, noted
from retrieval.mcp.updating import Updates
from retrieval.mcp.wire import Call, Tool, ToolError, ToolResult
from retrieval.service.arguments import Argument, checked, schema_of

if TYPE_CHECKING:
    from retrieval.service.kept_collection import KeptCollection
    from retrieval.service.kept_open import KeptOpen

    AnyKept = KeptOpen | KeptCollection

MOST_HITS = 50
MOST_LINES = 60
"""Maximum lines of a hit."""

READ_LINES = 200
"""Number of lines that `read` returns if no end is given."""

READ_MOST = 2000
READ_CHARACTERS = 60_000
"""Maximum characters that `read` returns."""

OUTLINE_MOST = 500

_PATH = Argument(
    "path", "string", "a hit's id if it has one, else its path; or any document's id", required=True
)
_TOKENS = Argument(
    "max_tokens",
    "integer",
    "approximate maximum of the whole answer; no limit if not given",
    least=50,
)
_SEARCH = (
    Argument("query", "string", "what to look for, in plain words or code", required=True),
    Argument("k", "integer", "how many hits", default=5, least=1, most=MOST_HITS),
    Argument("path_glob", "string", 'only these files, such as "src/**/*.py"'),
    Argument("where", "string", "a filter over metadata, such as 'language == \"python\"'"),
    Argument(
        "max_lines",
        "integer",
        "lines to show of each hit; 0 shows only places",
        default=10,
        most=MOST_LINES,
    ),
    _TOKENS,
)
_READ = (
    _PATH,
    Argument("start_line", "integer", "the first line, from 1", default=1, least=1),
    Argument("end_line", "integer", f"the last line; {READ_LINES} lines if not given", least=1),
    _TOKENS,
)
_RELATED = (
    _PATH,
    Argument("line", "integer", "the line to find similar passages for", default=1, least=1),
    *(one for one in _SEARCH if one.name in ("k", "max_lines", "max_tokens")),
)

_TEXT, _NUMBER = {"type": "string"}, {"type": "integer"}
_NOTES = {"type": "array", "items": _TEXT}
_HITS = {
    "type": "object",
    "properties": {
        "hits": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "path": _TEXT,
                    "id": _TEXT,
                    "line": _NUMBER,
                    "start_line": _NUMBER,
                    "end_line": _NUMBER,
                    "relevance": {"type": "number"},
                    "heading": _TEXT,
                    "symbol": _TEXT,
                    "text": _TEXT,
                },
                "required": ["path", "line", "start_line", "end_line", "relevance", "text"],
            },
        },
        "notes": _NOTES,
    },
    "required": ["hits", "notes"],
}


def is_there(kept: AnyKept) -> bool:
    """Whether there is an index; if it is damaged, opening it will report that."""
    from retrieval.service.kept_open import KeptOpen

    return not isinstance(kept, KeptOpen) or kept.exists


def instructions(place: Path | str) -> str:
    """The instructions for agents about the index in a folder, or about a collection."""
    if isinstance(place, str):
        return (
            f"Search over the documents of {place}; paths are as hits show them. Ask `search` "
            "first, then `read` the lines around a hit rather than whole documents."
        )
    folder = place
    return (
        f"Search over the files of {folder.parent}; paths are relative to that folder. Ask "
        "`search` first, then `read` the lines around a hit rather than whole files."
    )


def make_tools(tools: Tools, *, allow_write: bool) -> list[Tool]:
    """The tools to offer; `index` only if an existing index may be changed."""
    offered = [
        _tool(
            "search",
            "Search the index",
            "Search the project's files by meaning and by words. Returns the best passages, each "
            "with path:line to open. Prefer it to grep for questions; exact names work too.",
            _SEARCH,
            _HITS,
            tools.search,
        ),
        _tool(
            "read",
            "Read lines of a document",
            "Read lines of an indexed file as they were indexed, numbered; of PDF, office files "
            "and mail their text.",
            _READ,
            {
                "type": "object",
                "properties": {
                    "path": _TEXT,
                    "start_line": _NUMBER,
                    "end_line": _NUMBER,
                    "total_lines": _NUMBER,
                    "text": _TEXT,
                    "notes": _NOTES,
                },
                "required": ["path", "start_line", "end_line", "total_lines", "text", "notes"],
            },
            tools.read,
        ),
        _tool(
            "outline",
            "Outline of a file",
            "Headings, and definitions with their signatures, of an indexed file, with lines.",
            (_PATH,),
            {
                "type": "object",
                "properties": {
                    "path": _TEXT,
                    "entries": {"type": "array", "items": {"type": "object"}},
                    "notes": _NOTES,
                },
                "required": ["path", "entries", "notes"],
            },
            tools.outline,
        ),
        _tool(
            "find_related",
            "Find related passages",
            "Passages elsewhere that are similar to the text at a line of an indexed file: other "
            "uses, tests, documentation.",
            _RELATED,
            _HITS,
            tools.find_related,
        ),
        _tool(
            "status",
            "Status of the index",
            "What the index contains, and where it is.",
            (),
            {"type": "object"},
            tools.status,
        ),
    ]
    if allow_write:
        offered.append(
            _tool(
                "index",
                "Bring the index up to date",
                "Read files that are new or changed into the index. Searches do this by "
                "themselves.",
                (),
                {"type": "object"},
                tools.index,
                read_only=False,
            )
        )
    return offered


class Tools:
    """Implements the tools."""

    def __init__(
        self, open_kept: Callable[[], AnyKept], *, allow_write: bool, allow_making: bool = True
    ) -> None:
        """Set the index.

        Args:
            open_kept: returns the index; called with the first tool call, so that its imports do
                not delay startup.
            allow_write: whether an existing index may be changed.
            allow_making: whether the first call creates the index, if there is none.
        """
        self._open_kept = open_kept
        self._allow_write = allow_write
        self._allow_making = allow_making
        self._updates: Updates | None = None
        self._lock = threading.Lock()  # guards `_updates`

    def search(self, given: Mapping[str, Any], call: Call) -> ToolResult:
        """The best passages for a query."""
        from retrieval.service.lookup import with_path
        from retrieval.service.searching import SearchOptions, search

        values = checked(_SEARCH, given)
        kept, notes = self._ready(call)
        where = with_path(values["where"], values["path_glob"])
        with kept.using() as index:
            options = SearchOptions(k=values["k"], where=where)
            hits = search(index, values["query"], options).hits
            budget = Budget(index, values["max_tokens"])
            return hits_result(hits, values["max_lines"], notes, budget)

    def find_related(self, given: Mapping[str, Any], call: Call) -> ToolResult:
        """Passages that are similar to those around a line."""
        from retrieval.service.lookup import find_document, related

        values = checked(_RELATED, given)
        kept, notes = self._ready(call)
        with kept.using() as index:
            document = find_document(index, values["path"])
            hits = related(index, document, values["line"], values["k"])
            budget = Budget(index, values["max_tokens"])
            return hits_result(hits, values["max_lines"], notes, budget)

    def read(self, given: Mapping[str, Any], call: Call) -> ToolResult:
        """Lines of a document."""
        from retrieval.service.lookup import find_document, lines_of
        from retrieval.service.printable import safe

        values = checked(_READ, given)
        kept, notes = self._ready(call)
        first = values["start_line"]
        last = values["end_line"] or first + READ_LINES - 1
        with kept.using() as index:
            document = find_document(index, values["path"])
            lines = lines_of(document, first, min(last, first + READ_MOST - 1))
            budget = Budget(index, values["max_tokens"])
            rows: list[str] = []
            left = READ_CHARACTERS
            for number, text in enumerate(lines.rows, start=first):
                row = f"{number}\t{text}"
                fits = len(row) <= left and budget.takes(row)
                if rows and not fits:
                    break
                if len(row) > left:  # a line that no answer could hold
                    notes = [*notes, f"line {number} is cut off after {left:,} characters"]
                rows.append(row[:left])
                left -= len(row)
        end = first + len(rows) - 1 if rows else first
        if end < min(last, lines.total):
            notes = [*notes, f"cut off after line {end}; continue from line {end + 1}"]
        path = document.metadata.get("path")
        structured = {
            "path": path if isinstance(path, str) else document.id,
            "start_line": first,
            "end_line": end,
            "total_lines": lines.total,
            "text": "\n".join(rows),
            "notes": notes,
        }
        head = f"{safe(str(structured['path']))} lines {first}-{end} of {lines.total}"
        return ToolResult("\n".join([head, *rows, *noted(notes)]), structured)

    def outline(self, given: Mapping[str, Any], call: Call) -> ToolResult:
        """Headings and definitions of a file."""
        from retrieval.service.json_shape import plain_value
        from retrieval.service.lookup import find_document, outline_of
        from retrieval.service.printable import safe

        values = checked((_PATH,), given)
        kept, notes = self._ready(call)
        with kept.using() as index:
            document = find_document(index, values["path"])
            entries = outline_of(index, document)
        if len(entries) > OUTLINE_MOST:
            notes = [*notes, f"{len(entries) - OUTLINE_MOST} more entries are left out"]
        entries = entries[:OUTLINE_MOST]
        rows = [
            f"{one.line}-{one.end_line}\t{'  ' * (one.level - 1)}{cut(one.signature or one.name)}"
            for one in entries
        ]
        if not rows:
            notes = [*notes, "no headings and no definitions were found"]
        path = str(document.metadata.get("path") or document.id)
        structured = {"path": path, "entries": plain_value(entries), "notes": notes}
        return ToolResult("\n".join([safe(path), *rows, *noted(notes)]), structured)

    def status(self, given: Mapping[str, Any], call: Call) -> ToolResult:
        """What the index contains."""
        from retrieval.service.json_shape import status_as_dict
        from retrieval.service.kept_open import KeptOpen
        from retrieval.service.updating import changes, roots_of

        checked((), given)
        kept = self._open_kept()
        if not isinstance(kept, KeptOpen):
            return _status_of_collection(kept)
        if not kept.exists:
            text = f"no index at {kept.folder} yet; the first search creates it"
            return ToolResult(text, {"path": str(kept.folder), "exists": False})
        with kept.using() as index:
            facts = status_as_dict(index.status())
            roots = roots_of(index)
            found = changes(index)
        changed = len(found.changed) + len(found.gone) + len(found.new)
        text = (
            f"{facts['path']}: {facts['documents']} documents, {facts['passages']} passages, "
            f"of {', '.join(roots) or 'no files'} in {kept.folder.parent}; "
            f"{changed or 'no'} files changed since"
        )
        return ToolResult(text, facts | {"exists": True, "roots": roots, "changed_files": changed})

    def index(self, given: Mapping[str, Any], call: Call) -> ToolResult:
        """Bring the index up to date."""
        from retrieval.service.json_shape import report_as_dict
        from retrieval.service.kept_open import KeptOpen

        checked((), given)
        kept = self._kept()
        if not isinstance(kept, KeptOpen):
            raise ToolError(f"{kept.place} is a collection in shards, which agents can only read")
        report, notes = self._of(kept).update(call)
        if report is None:
            return ToolResult("\n".join(notes), {"done": False, "notes": notes})
        text = (
            f"{report.added} added, {report.updated} updated, {report.deleted} deleted, "
            f"{report.moved} moved, {report.unchanged} unchanged; {report.passages} passages"
        )
        problems = report.problems[:10]
        facts = report_as_dict(report, kept.folder) | {"done": True, "notes": notes}
        facts.pop("left_out")  # long, and of no use for searching
        return ToolResult("\n".join([text, *problems, *noted(notes)]), facts)

    def stop(self) -> None:
        """Stop running updates."""
        if self._updates is not None:
            self._updates.stop()

    def _ready(self, call: Call) -> tuple[AnyKept, list[str]]:
        """The index, updated if allowed, and notes about that for the answer."""
        from retrieval.service.kept_open import KeptOpen

        kept = self._kept()
        if not isinstance(kept, KeptOpen):  # it follows new generations itself
            return kept, []
        return kept, self._of(kept).before_query(call)

    def _kept(self) -> AnyKept:
        """The index, which exists or may be created."""
        from retrieval.service.kept_open import KeptOpen

        kept = self._open_kept()
        if isinstance(kept, KeptOpen) and not self._allow_making and not kept.exists:
            from retrieval.store.schema import not_found

            raise not_found(kept.folder)
        return kept

    def _of(self, kept: KeptOpen) -> Updates:
        with self._lock:
            if self._updates is None:
                self._updates = Updates(kept, allow_write=self._allow_write)
            return self._updates


def _status_of_collection(kept: KeptCollection) -> ToolResult:
    from retrieval.service.json_shape import status_as_dict

    with kept.using() as collection:
        facts = status_as_dict(collection.status())
    text = (
        f"{facts['url']}: {facts['documents']} documents, {facts['passages']} passages in "
        f"{facts['shards']} shards, generation {facts['generation']}"
    )
    return ToolResult(text, facts | {"exists": True})


def _tool(
    name: str,
    title: str,
    description: str,
    arguments: Sequence[Argument],
    output: Mapping[str, Any],
    run: Callable[[Mapping[str, Any], Call], ToolResult],
    *,
    read_only: bool = True,
) -> Tool:
    def explained(given: Mapping[str, Any], call: Call) -> ToolResult:
        from retrieval.errors import RetrievalError

        import_services()
        try:
            return run(given, call)
        except (RetrievalError, OSError) as error:
            raise ToolError(" ".join(str(error).split())) from error

    return Tool(name, title, description, schema_of(arguments), output, explained, read_only)
