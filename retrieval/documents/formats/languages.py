"""Programming and markup languages that are read as code: by file names and by other names."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_EXTENSIONS = {
    "ada": "adb ads",
    "assembly": "s asm",
    "awk": "awk",
    "bash": "sh bash zsh ksh fish",
    "batch": "bat cmd",
    "c": "c h",
    "clojure": "clj cljs cljc edn",
    "cmake": "cmake",
    "cpp": "cc cpp cxx c++ hh hpp hxx h++ inl ipp cppm cxxm ccm c++m ixx mxx mpp",
    "csharp": "cs csx",
    "css": "css scss sass less",
    "cuda": "cu cuh",
    "d": "d",
    "dart": "dart",
    "elixir": "ex exs",
    "elm": "elm",
    "erlang": "erl hrl",
    "fortran": "f f77 f90 f95 f03 f08 for",
    "fsharp": "fs fsi fsx",
    "glsl": "glsl vert frag hlsl wgsl",
    "go": "go",
    "graphql": "graphql gql",
    "groovy": "groovy gradle",
    "haskell": "hs lhs",
    "hcl": "hcl tf tfvars",
    "ini": "ini cfg conf properties",
    "java": "java",
    "javascript": "js jsx mjs cjs",
    "json": "json json5 jsonc geojson",
    "julia": "jl",
    "kotlin": "kt kts",
    "lisp": "lisp lsp cl el",
    "lua": "lua",
    "matlab": "m",
    "nim": "nim",
    "nix": "nix",
    "objective-c": "mm",
    "ocaml": "ml mli",
    "pascal": "pas pp",
    "perl": "pl pm",
    "php": "php phtml",
    "powershell": "ps1 psm1 psd1",
    "prolog": "pro",
    "protobuf": "proto",
    "python": "py pyi pyw pyx pxd",
    "r": "r",
    "racket": "rkt",
    "ruby": "rb rake gemspec",
    "rust": "rs",
    "scala": "scala sc sbt",
    "scheme": "scm ss",
    "solidity": "sol",
    "sql": "sql",
    "svelte": "svelte",
    "swift": "swift",
    "tcl": "tcl",
    "toml": "toml",
    "typescript": "ts tsx mts cts",
    "verilog": "v sv svh",
    "vhdl": "vhd vhdl",
    "vim": "vim",
    "vue": "vue",
    "xml": "xml xsd xsl xslt rng plist",
    "yaml": "yaml yml",
    "zig": "zig",
}

_NAMES = {
    "cmakelists.txt": "cmake",
    "containerfile": "docker",
    "dockerfile": "docker",
    "gemfile": "ruby",
    "gnumakefile": "make",
    "makefile": "make",
    "rakefile": "ruby",
}

_LANGUAGE_OF = {
    f".{extension}": language
    for language, extensions in _EXTENSIONS.items()
    for extension in extensions.split()
} | {".mk": "make", ".dockerfile": "docker"}

CODE = frozenset({*_LANGUAGE_OF.values(), *_NAMES.values()})
"""All languages of source code."""

SUFFIXES = tuple(_LANGUAGE_OF)
"""Suffixes of source files, in lower case with the dot."""

NAMES = tuple(_NAMES)
"""Whole names of their files, in lower case."""

_ALIASES = {
    "bash": "console sh shell shell-session zsh",
    "cpp": "c++",
    "csharp": "c#",
    "docker": "dockerfile",
    "fsharp": "f#",
    "go": "golang",
    "javascript": "ecmascript node",
    "lisp": "common-lisp elisp emacs-lisp",
    "make": "makefile",
    "objective-c": "objc objectivec",
    "python": "ipython ipython3 py3 pycon python2 python3",
    "yaml": "yml",
}
_CALLED = {alias: language for language, names in _ALIASES.items() for alias in names.split()}
_LANGUAGE_NAMED = (
    {suffix[1:]: language for suffix, language in _LANGUAGE_OF.items()}
    | _CALLED
    | {language: language for language in CODE}
)
_WORD = re.compile(r"[\w+#-]+")
_SHEBANG = re.compile(rb"#![^\n]*?[/ ](?:env[ \t]+(?:-S[ \t]+)?)?([\w+-]+?)[\d.]*(?:[ \t\r\n]|$)")

_BINARY = (
    "7z a apk arrow avi avif bin bmp br bz2 class db deb dll dmg doc docx dylib eot epub exe "
    "feather flac gguf gif gz h5 heic ico icns iso jar jpeg jpg jxl lib lz4 lzma m4a m4v mkv mo "
    "mov mp3 mp4 mpeg mpg msf msi npy npz o odp ods odt ogg onnx opus otf parquet pdf pickle pkl "
    "png pps ppt pptx psd pth pyc pyd pyo rar rpm rtf safetensors so sqlite sqlite3 swf tar tgz "
    "tif tiff ttf war wasm wav webm webp whl wmv woff woff2 xls xlsx xz zip zst"
)
BINARY_EXTENSIONS = frozenset(f".{extension}" for extension in _BINARY.split())
"""Extensions of files that hold no text to read, or, as in drawings, none worth finding."""


_UNIQUE = re.compile(r"(?:.*/)?(?:cur|new|tmp)/\d{8,}\.[^/]+", re.DOTALL)


def is_maildir_name(path: str) -> bool:
    """Whether a mail program made up a file's name: `new/1740996000.M5P1.mail.example.pl`."""
    return path[path.rfind("/") + 1 :][:1].isdigit() and _UNIQUE.fullmatch(path) is not None


def extension_of(name: str) -> str:
    """The extension in lower case with its dot, or "": of `a/B.MD` it is `.md`.

    The name of a message in a Maildir folder ends in a host's: it has none.
    """
    if is_maildir_name(name):
        return ""
    name = name[name.rfind("/") + 1 :]
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def language_of(name: str) -> str:
    """The language that a file's name speaks of, or ""."""
    known = _NAMES.get(PurePosixPath(name).name.lower())
    return known or _LANGUAGE_OF.get(extension_of(name), "")


def language_called(name: str) -> str:
    """The programming language of this name or alias, or "".

    Suffixes are none: `pl` and `cs` are natural languages, too.
    """
    name = name.strip().lower()
    return name if name in CODE else _CALLED.get(name, "")


def language_named(info: str) -> str:
    """The language that the info string of a block of code names, or "".

    The first word counts: `py`, `python title="x"` and `{.python}` are Python.
    """
    word = _WORD.search(info)
    return _LANGUAGE_NAMED.get(word[0].lower(), "") if word else ""


def language_of_shebang(head: bytes) -> str:
    """The language of the interpreter that a script's first line names, or ""."""
    line = _SHEBANG.match(head)
    return _LANGUAGE_NAMED.get(line[1].decode("ascii", "replace").lower(), "") if line else ""
