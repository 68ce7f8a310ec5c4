"""Which files a folder gives, and why the rest is left out.

discovery   the walk
unchanged   files that are known, told by one stat each
source_file a file that it gives, and what is remembered of one
options     what the user wants left out and taken in
left_out    the reasons, and the counts by reason and by type
folders     environments, dependencies and build folders, told by their marks
machine     lock files, minified and generated files, base64
vocabularies  those of tokenizers
rules       what is ignored: git's rules and `.ignore`
patterns    lists of patterns; `wildmatch` a single glob
repository  a work tree of git: `gitconfig` its settings, `gitindex` what it tracks
"""

from retrieval.documents.walk.advice import advice, advices
from retrieval.documents.walk.discovery import MAX_BYTES, Discovery, discover
from retrieval.documents.walk.left_out import WAY_IN, LeftOut, LeftOutType, Reason
from retrieval.documents.walk.options import WalkOptions
from retrieval.documents.walk.source_file import JudgedFile, SourceFile, Stamp

__all__ = [
    "MAX_BYTES",
    "WAY_IN",
    "Discovery",
    "JudgedFile",
    "LeftOut",
    "LeftOutType",
    "Reason",
    "SourceFile",
    "Stamp",
    "WalkOptions",
    "advice",
    "advices",
    "discover",
]
