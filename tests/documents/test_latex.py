"""LaTeX: headings, title, tables, lists and code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import latex
from retrieval.documents.formats.latex_words import plain

from .outlines_for_tests import (
    FILL,
    blocks,
    check,
    headings,
    headings_at,
    lines_at,
    parsed,
    passages_of,
)


def test_every_passage_of_a_long_section_has_the_headings_above_it() -> None:
    long = f"{FILL * 3}\n\n" * 3
    head = "\\documentclass{article}\n\\title{The \\emph{Guide}}\n\\author{Ada \\and Bo}\n"
    made = parsed(
        "a.tex",
        f"{head}\\begin{{document}}\n\\maketitle\n\\section{{North}}\n{long}"
        f"\\subsection*{{Doors}}\n{long}word1 {FILL}\n\n"
        f"\\section[S]{{South}}\\label{{s}}\n{long}word2 {FILL}\n\\end{{document}}\n",
    )
    assert made.title == "The Guide"
    assert made.metadata == {"author": "Ada; Bo"}
    assert headings_at(made, "word1") == ("North", "Doors")
    assert headings_at(made, "word2") == ("South",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\part{A}\chapter{B}\section{C}\paragraph{D}x\subparagraph{E}",
         [(1, "A"), (2, "B"), (3, "C"), (6, "D"), (7, "E")]),
        (r"\section{A}\subsubsection{B}", [(1, "A"), (3, "B")]),
        (r"\section[short]{A \texttt{b\_c()} \& \textbf{d}\footnote{no} $x^2$\label{s}}",
         [(1, r"A b_c() & d x^2")]),
        ("\\section\n  {A\n  b}", [(1, "A b")]),
        ("% \\section{no}\n\\section{A 50\\% b}% \\section{no}", [(1, "A 50% b")]),
        (r"\verb|\section{no}| \section{A}", [(1, "A")]),
        ("\\begin{verbatim}\n\\section{no}\n\\end{verbatim}\\section{A}", [(1, "A")]),
        ("\\newcommand{\\x}[1]{\\section{#1}}\\section{A}", [(1, "A")]),
        ("\\newcommand{\\x}{\\section{no}}\\begin{document}\\section{A}\\end{document}\\section{no}",
         [(1, "A")]),
        ("\\begin{abstract}\nx\n\\end{abstract}\n\\section{A}", [(1, "Abstract"), (1, "A")]),
        ("\\section{A}\\begin{frame}[t]{B}\nx\\end{frame}\\begin{frame}\\frametitle{C}\\end{frame}",
         [(1, "A"), (4, "B"), (4, "C")]),
        (r"\section{A \texorpdfstring{$\alpha$}{alpha} {\bf b}}", [(1, "A alpha b")]),
        (r"\section{No \#1 and \_x}\section{C\#2}", [(1, "No #1 and _x"), (1, "C#2")]),
        (r"\newcommand\x[2]{\section{#1}\section{a \\#2}}\section{A}", [(1, "A")]),
        ("\\iffalse\n\\section{no}\n\\fi\n\\section{A}", [(1, "A")]),
        (r"\iffalse\ifx a b\section{no}\else c\fi\section{no}\fi\section{A}", [(1, "A")]),
        ("\\iffalse % \\fi\n $a \\iff b$ \\section{no}\\else\\section{A}\\fi\\section{B}",
         [(1, "A"), (1, "B")]),
        (r"\if0\section{no}\fi\section{A}\if00\section{B}\fi", [(1, "A"), (1, "B")]),
        (r"\let\ifdraft=\iffalse\def\x{\iffalse}\section{A}\ifdraft\section{B}\fi\section{C}",
         [(1, "A"), (1, "B"), (1, "C")]),
        (r"\iffalse\ifours{x}\section{no}\fi\section{A}", [(1, "A")]),
        (r"\iffalse\section{A}", [(1, "A")]),
        (r"\sectionmark{no}\section\par\section{", []),
    ],
)  # fmt: skip
def test_headings(text: str, expected: list[tuple[int, str]]) -> None:
    assert headings(parsed("a.tex", text)) == expected


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (r"M\"uller, Stra\ss e, \'{E}t\'e, \c{c}a", "Müller, Straße, Été, ça"),
        (r"na\"{\i}ve, \v Skoda, \o l, \AA", "naïve, Škoda, øl, Å"),
        (r"the \LaTeX\ way---``x'' 1--2~a\\b", 'the LaTeX way—"x" 1–2 a b'),
        (r"\href{https://x.org}{site} \cite[p.~1]{a} \textcolor{red}{b}", "site b"),
        (r"a \{b\} \$5 \# \_ {c} % d", "a {b} $5 # _ c"),
        (r"\'", ""),
    ],
)
def test_words_without_their_commands(source: str, words: str) -> None:
    assert plain(source) == words


@pytest.mark.parametrize(
    ("source", "author"),
    [
        (r"A. One\inst{1} \and B. Two\inst{1,2}", "A. One; B. Two"),
        (r"A. One\inst{1}\orcidID{0000-1} \And B\thanks{x}\orcidlink{0-1}", "A. One; B"),
        (r"\IEEEauthorblockN{A}\IEEEauthorrefmark{1} \and B\corref{c}\fnref{f}", "A; B"),
    ],
)
def test_authors_are_named_without_the_marks_behind_their_names(source: str, author: str) -> None:
    assert parsed("a.tex", rf"\author{{{source}}}").metadata == {"author": author}


ROWS = "".join(f"pump {n} & {7 * n} & {FILL} \\\\\n" for n in range(10))


@pytest.mark.parametrize(
    "table",
    [
        "\\begin{table}[ht]\\caption{Pumps of the \\emph{mill}}\n\\begin{tabular}{l|r|p{5cm}}\n"
        "\\hline\nname & flow & remark \\\\ \\hline\n@\\hline\n\\end{tabular}\n\\end{table}\n",
        "\\begin{table*}\\centering\n\\begin{tabularx}{\\textwidth}{@{}lrX@{}}\n\\toprule\n"
        "\\textbf{name} & \\textbf{flow} & \\textbf{remark} \\\\[2pt]\n\\midrule\n@\\bottomrule\n"
        "\\end{tabularx}\n\\caption[s]{Pumps of the mill}\n\\end{table*}\n",
        "\\begin{longtable}[c]{lrl}\n\\caption{Pumps of the mill}\\\\\n\\toprule name & flow & "
        "remark\\\\\n\\midrule\\endhead\n@\\end{longtable}\n",
        "\\begin{table}\\begin{threeparttable}\\caption{Pumps of the mill}\\begin{tabular}{lrl}\n"
        "name & flow & remark\\\\\n@\\end{tabular}\\end{threeparttable}\\end{table}\n",
    ],
)
def test_rows_of_a_table_are_read_with_its_caption_and_header(table: str) -> None:
    text = f"\\section{{P}}\n{FILL}\n\n" + table.replace("\n@", f"\n{ROWS}") + "\nAfter.\n"
    made = parsed("a.tex", text)
    assert blocks(made) == [("table", "Pumps of the mill\nname | flow | remark", "")]
    found = passages_of(made)
    for n in range(10):
        text, passage = next((t, p) for t, p in found if f"pump {n} &" in t)
        assert f"pump {n} & {7 * n} & {FILL} \\\\" in text
        assert passage.context.lead or "name" in text


def test_a_table_in_the_text_is_read_with_the_sentence_before_it() -> None:
    table = "\\begin{tabular}{lr}\n a & 1 \\\\\n b & 2 \n\\end{tabular}\n"
    made = parsed("a.tex", f"{FILL}\n\n{FILL} These pumps:\n{table}")
    assert blocks(made) == [("table", "These pumps:", "")]
    assert lines_at(made, made.outline.breaks[2]) == ["a & 1 \\\\", "b & 2"]


def test_lists_are_read_with_what_introduces_them() -> None:
    text = (
        f"{FILL} You need:\n\\begin{{itemize}}\n\\item one\n\\begin{{enumerate}}\n\\item two\n"
        "\\end{enumerate}\n\\item[x] three\n\\end{itemize}\n"
    )
    made = parsed("a.tex", text)
    assert blocks(made) == [("list", "You need:", "")]
    assert lines_at(made, made.outline.breaks[1]) == ["\\item one", "\\item two", "\\item[x] three"]


@pytest.mark.parametrize(
    ("text", "language", "lead"),
    [
        ("\\begin{verbatim}\nx\n\\end{verbatim}", "", ""),
        ("\\begin{minted}[linenos]{python}\nx\n\\end{minted}", "python", ""),
        ("\\begin{lstlisting}[language=C++,caption={Sum}]\nx\n\\end{lstlisting}", "cpp", "Sum"),
        ("\\lstset{language=[LaTeX]Java}\\begin{lstlisting}\nx\n\\end{lstlisting}", "java", ""),
    ],
)  # fmt: skip
def test_code_has_its_language(text: str, language: str, lead: str) -> None:
    assert blocks(parsed("a.tex", text)) == [("code", lead, language)]


def test_the_preamble_is_a_part_of_its_own() -> None:
    made = parsed("a.tex", "\\usepackage{a}\n" * 90 + "\\begin{document}\n" + FILL * 9)
    assert [text.split("\n")[0] for text, _ in passages_of(made, 200)] == [
        "\\usepackage{a}",
        "\\begin{document}",
    ]


PIECES = st.sampled_from(
    [
        *(
            "\\section{A}",
            "\\subsection*{B \\emph{c}}",
            "\\chapter[x]{y",
            "}",
            "{",
            "%",
            "\n",
            "\n\n",
        ),
        *(
            "\\begin{table}",
            "\\end{table}",
            "\\begin{tabular}{ll}",
            "\\end{tabular}",
            "a & b",
            "\\\\",
        ),
        *(
            "\\hline",
            "\\caption{c}",
            "\\begin{itemize}",
            "\\item",
            "\\end{itemize}",
            "text:",
            " word ",
        ),
        *(
            "\\begin{verbatim}",
            "\\end{verbatim}",
            "\\verb|",
            "|",
            "\\begin{document}",
            "\\title{t}",
        ),
        *("\\end{document}", "\\begin{frame}{f}", "\\end{frame}", "\\begin{longtable}{l}", "$x$"),
        *("\\end{longtable}", "\\begin{minted}{c}", "\\end{minted}", "\\\\[2pt]", "\\midrule"),
    ]
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_an_outline_lies_within_its_text(text: str) -> None:
    check(text, latex.outline(text))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(list("\\{}[]$%~^'\"`-a e\u00e9")), max_size=60).map("".join))
def test_words_of_anything(source: str) -> None:
    assert plain(source) == " ".join(plain(source).split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    ["{", "\\section{", "\\begin{a}", "\\begin{table}", "\\begin{verbatim}", "\\\\", "\\verb|", "%",
     "\\begin{tabular}{l}", "\\end{a}", "\\section[", "\\begin{frame}<", "\\item", "\\caption{",
     "\\iffalse", "\\iffalse\\if\\fi", "\\if0\\if", "\\let\\a"],
)  # fmt: skip
def test_twenty_thousand_of_anything_are_no_trouble(unit: str) -> None:
    latex.outline(unit * 20_000)
