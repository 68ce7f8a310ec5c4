"""Words of a piece of LaTeX: without its commands, accents as letters."""

from __future__ import annotations

import re
import unicodedata

_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306",
    ".": "\u0307", '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323",
    "c": "\u0327", "k": "\u0328", "b": "\u0331",
}  # fmt: skip
_LETTERS = {
    "AA": "Å", "AE": "Æ", "DH": "Ð", "L": "Ł", "O": "Ø", "OE": "Œ", "SS": "ẞ", "TH": "Þ",
    "aa": "å", "ae": "æ", "dh": "ð", "i": "i", "j": "j", "l": "ł", "o": "ø", "oe": "œ", "ss": "ß",
    "th": "þ", "S": "§", "P": "¶", "dots": "…", "ldots": "…", "textendash": "–",
    "textemdash": "—", "textregistered": "®", "texttrademark": "™", "copyright": "©",
    "textbackslash": "\\", "textasciitilde": "~", "slash": "/", "LaTeX": "LaTeX", "TeX": "TeX",
    "LaTeXe": "LaTeX2e", "BibTeX": "BibTeX", "XeTeX": "XeTeX", "LuaTeX": "LuaTeX",
    "XeLaTeX": "XeLaTeX", "LuaLaTeX": "LuaLaTeX",
}  # fmt: skip
_GROUP = r"\{(?:[^{}]|\{[^{}]*\})*+\}"
_UNSAID = re.compile(
    r"\\(?:IEEEauthorrefmark|altaffilmark|cite[a-z]*|color|colorbox|corref|eqref|fnref|fontsize"
    r"|footnote(?:mark|text)?|hspace|href(?=\{)|hypertarget|index|inst|label|orcid(?:ID|link)?"
    r"|pageref|ref|textcolor|thanks(?:ref)?|tnoteref|vspace)\*?(?:\[[^\]]*\])*+" + _GROUP
)
"""Commands whose argument is not part of a heading's words; of links and
colours, the first one."""
_ALTERNATIVE = re.compile(r"\\texorpdfstring\s*" + _GROUP + r"\s*(" + _GROUP + r")")
_ACCENT = re.compile(
    r"\\(?:([`'^~=.\"])|([uHrvdckb])(?=[\s{\\]))\s*(?:\{\s*\\?([^\W\d_])\s*\}|\\?([^\W\d_]))"
)
_COMMENT = re.compile(r"(?<!\\)%.*")
_ESCAPED = re.compile(r"\\([&%$#_{}])")
_COMMAND = re.compile(r"\\([A-Za-z@]+)\*?(?:\s*\[[^\]]*\])?[ \t]?|\\[^A-Za-z@]")
_QUOTES = re.compile(r"``|''")
_KEPT = 0xE000
"""An escaped character stands this far from its own code point until all markup is gone."""


def plain(source: str) -> str:
    """A piece of LaTeX as words on one line."""
    source = _COMMENT.sub("", source)
    if "\\" in source:
        source = _ALTERNATIVE.sub(r"\1", source)
        source = _UNSAID.sub("", source)
        source = _ACCENT.sub(_accented, source)
        source = _ESCAPED.sub(lambda escaped: chr(_KEPT + ord(escaped[1])), source)
        source = _COMMAND.sub(
            lambda command: _LETTERS.get(command[1] or "", " " * (not command[1])), source
        )
    source = _QUOTES.sub('"', source).replace("~", " ").replace("---", "—").replace("--", "–")
    source = re.sub(r"[{}$]", "", source)
    source = re.sub("[\ue000-\ue07f]", lambda kept: chr(ord(kept[0]) - _KEPT), source)
    return " ".join(source.split())


def _accented(accent: re.Match[str]) -> str:
    letter = accent[3] or accent[4]
    return unicodedata.normalize("NFC", letter + _ACCENTS[accent[1] or accent[2]])
