"""Definitions of one line behind a comment, an attribute or a decorator on that line."""

from __future__ import annotations

import pytest

from tests.documents.code.reading import doc, parsed


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("a.c", "/* Adds. */ int add(int a) { return a; }\n", ["add"]),
        ("a.c", "/* a */ /* b */ int one(void) { return 1; }\n", ["one"]),
        ("a.c", "/* Port. */ #define PORT 80\n/* s */ struct S { int a; };\n", ["PORT", "S"]),
        ("a.c", "int x; /* of\n y */ int y(void) { return 1; }\n", ["x", "y"]),
        ("a.c", "int x(void) { return 1; } /* b */ int y(void) { return 1; }\n", ["x"]),
        ("a.cs", "class C {\n  /* x */ public int G() => 1;\n}\n", ["C", "C.G"]),
        ("a.go", "package x\n\n/* F. */ func F() int { return 1 }\n", ["F"]),
        (
            "A.java",
            "class A {\n  /** P. */ public static final int PORT = 80;\n  /* r */ void r() {}\n}\n",
            ["A", "A.PORT", "A.r"],
        ),
        ("a.kt", "/** F. */ fun f() = 1\n\n@Test fun t() = 2\n", ["f", "t"]),
        (
            "a.kt",
            "class C {\n  @Inject lateinit var x: X\n"
            "  /** d */ fun g() {}\n  @Test fun t() { g() }\n}\n",
            ["C", "C.g", "C.t"],
        ),
        ("a.kt", '@Suppress("x") const val A = 5\n/* b */ const val B = 6\n', ["A", "B"]),
        ("a.lua", "--[[ d ]] local function a() return 1 end\n", ["a"]),
        ("a.php", "<?php\n/** G. */ function g() { return 2; }\n", ["g"]),
        (
            "a.rs",
            "#[derive(Debug)] pub struct Unit;\nimpl Unit {\n"
            "    #[inline] pub fn len(&self) -> usize { 0 }\n"
            "    /* b */ #[inline] #[must_use] pub fn two(&self) -> usize { 2 }\n}\n",
            ["Unit", "Unit", "Unit.len", "Unit.two"],
        ),
        (
            "a.scala",
            "class C {\n  /** X. */ val X = 1\n  /** d */ @inline def g = 1\n}\n",
            ["C", "C.X", "C.g"],
        ),
        ("a.swift", "struct S {\n  /** d */ func h() { }\n}\n", ["S", "S.h"]),
        (
            "a.ts",
            "class C {\n"
            '  @HostListener("x") onClick() { this.x(); }\n  /** s */ s() { return 1; }\n}\n'
            "/** L. */ export const LIMIT = 5;\n/** F. */ export function f() { return 1; }\n",
            ["C", "C.onClick", "C.s", "LIMIT", "f"],
        ),
        ("a.js", "/** F. */ export const f = () => 1;\n", ["f"]),
    ],
)
def test_what_leads_a_line_hides_no_definition(name: str, text: str, names: list[str]) -> None:
    assert [block.name for block in parsed(text, name).outline.blocks] == names


def test_it_belongs_to_the_definition_and_not_to_its_signature() -> None:
    text = "class A {\n  /** Port. */ public static final int PORT = 80;\n  int b = 1;\n}\n"
    outline = parsed(text, "A.java").outline
    block = outline.blocks[1]
    assert text[block.start : block.end].startswith("/** Port. */ public")
    assert block.signature == "public static final int PORT"
    assert doc(outline, text, "A.PORT") == "/** Port. */"
    text = "class C {\n  var x: X\n  /** Sails. */ fun sail() {}\n}\n"
    assert doc(parsed(text, "a.kt").outline, text, "C.sail") == "/** Sails. */"
