"""Source code that comes without a name."""

from __future__ import annotations

import textwrap
from importlib import import_module

import pytest

from retrieval.documents import chunk
from retrieval.documents.formats import outline_of
from retrieval.documents.formats.code.languages import known
from retrieval.documents.formats.code.sniffing import language_of_text
from retrieval.types import Document
from tests.documents.code.reading import WORDS, named

CODE = {
    "python": """
def write(self, n):
    '''Writes it.'''
    self.stream.write(n)
""",
    "javascript": """
function load(path) {
  return read(path, 1);
}
""",
    "typescript": """
export function load(path: string): Promise<string> {
  return read(path);
}
""",
    "java": """
@Override
public int load(String path) throws IOException {
  return read(path);
}
""",
    "csharp": """
public async Task<int> Load(string path)
{
    return await Read(path);
}
""",
    "c": """
static int *load(const char *path,
                 int n)
{
    return read(path);
}
""",
    "cpp": """
template <typename T>
bool Engine<T>::load(const std::string& path) {
  return 1;
}
""",
    "go": """
// Load reads it.
func (e *Engine) Load(path string) error {
\treturn read(path)
}
""",
    "rust": """
/// Reads it.
#[inline]
pub fn load(path: &str) -> u8 {
    read(path)
}
""",
    "ruby": """
# Reads it.
def load(path)
  read(path)
end
""",
    "php": """
/** Reads it. */
public function load($path)
{
    return $this->read($path);
}
""",
    "scala": """
def load(path: String): Int = {
  read(path)
}
""",
    "swift": """
public func load(_ path: String) -> Int {
    return read(path)
}
""",
    "kotlin": """
override fun load(path: String): Int {
  return read(path)
}
""",
    "lua": """
function Engine.load(path)
  return read(path)
end
""",
    "bash": """
load() {
  cat "$1"
}
""",
}

PROSE = (
    "",
    "   \n\n ",
    "import tariffs rose by a tenth in May, and the trade in steel fell.",
    "Class struggle: a short history. It begins with the enclosures.",
    "def. A definition is a statement of the meaning of a term",
    "Cystic fibrosis (CF) is a disease of the glands (see below) and other organs.",
    "Ben Sadler (born in 1971) is an actor,\nknown for several films (1999, 2004)",
    "from the sea import nothing but salt",
    "# Usage\n\nimport engines\n\nThen call `load` on one of them, and wait until it is there.",
    "# Release notes\n\n- the first\n- the second",
    "function follows form (as they say),\nand the other way round {perhaps}",
    "public opinion (of which there is much) holds that\nall is well;",
    "@ann wrote: I shall be there at ten. def load(x): is what I meant.",
    "type of work (see the list)\n{none}",
    "using the car; I went home",
    "The text below defines it.\n\ndef load(path):\n    return read(path)\n",
    "package holidays\n\nare sold by agents in the town.",
    "local function of the liver (LFL)\nand its measurement",
)


@pytest.mark.parametrize("language", CODE)
def test_source_code_is_known_by_how_it_begins(language: str) -> None:
    found = language_of_text(CODE[language])
    assert found is not None and found[0] == language
    outline = outline_of(CODE[language], {})
    assert [name.lower().rpartition(".")[2] for name in named(outline)] == [
        "write" if language == "python" else "load"
    ]
    assert outline.blocks[0].language == language


def test_every_language_of_code_is_tried() -> None:
    data = {"css", "json", "sql", "toml", "yaml"}
    assert set(known()) - set(CODE) == {*data, "php_only", "tsx"}


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_no_source_code(text: str) -> None:
    assert language_of_text(text) is None
    assert not outline_of(text, {}).blocks


def test_a_whole_file_is_known_too() -> None:
    for language in ("csharp", "rust", "scala", "swift", "kotlin", "cpp"):
        text = import_module(f"tests.documents.code.test_{language}").TEXT
        found = language_of_text(text)
        assert found is not None and found[0] == language, language


def test_what_metadata_says_comes_first() -> None:
    text = CODE["python"]
    assert outline_of(text, {"format": "text"}).blocks == ()
    assert [block.language for block in outline_of(text, {"language": "Python"}).blocks] == [
        "python"
    ]
    assert outline_of(CODE["cpp"], {"language": "C++"}).blocks[0].language == "cpp"
    # A natural language whose code is the suffix of a programming language.
    assert outline_of("Prosa om svenska.", {"language": "sv"}).blocks == ()
    assert outline_of(CODE["python"], {"language": "en"}).blocks[0].language == "python"


def test_records_of_code_know_where_their_passages_stand() -> None:
    body = textwrap.indent("".join(f"self.step({at})\n" for at in range(40)), "    ")
    document = Document("d", f"def drive(self):\n{body}")
    contexts = [passage.context for passage in chunk(document, WORDS, max_tokens=64)]
    assert len(contexts) > 2
    assert {context.symbol for context in contexts} == {"drive"}
    assert {context.signature for context in contexts} == {"def drive(self)"}
