"""Constants within classes, and tests and routes that are named by words, in each language."""

from __future__ import annotations

import pytest

from tests.documents.code.reading import parsed


def names(text: str, file: str) -> list[tuple[str, str]]:
    blocks = parsed(text, file).outline.blocks
    return [(block.name, block.signature) for block in blocks if block.kind == "definition"]


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        (
            "A.java",
            "class A {\n  /** Most. */\n  public static final int MOST = 5;\n"
            "  final static long L = 1;\n"
            "  private final int own = 1;\n  static int count = 2;\n}\n"
            "interface B {\n  int LIMIT = 4;\n}\n",
            [("A", "class A"), ("A.MOST", "public static final int MOST"),
             ("A.L", "final static long L"), ("B", "interface B"), ("B.LIMIT", "int LIMIT")],
        ),
        (
            "A.cs",
            "class A\n{\n    public const int Most = 5;\n"
            '    private static readonly string N = "a";\n'
            "    private readonly int own = 1;\n    static int count = 2;\n}\n",
            [("A", "class A"), ("A.Most", "public const int Most"),
             ("A.N", "private static readonly string N")],
        ),
        (
            "a.php",
            "<?php\nclass A {\n  public const MOST = 5;\n  public $own = 1;\n}\n"
            "enum E {\n  const X = 1;\n}\n",
            [("A", "class A"), ("A.MOST", "public const MOST"), ("E", "enum E"),
             ("E.X", "const X")],
        ),
        (
            "a.kt",
            "class A {\n  companion object {\n    const val MOST = 5\n    val MADE = A()\n  }\n"
            "  val own = 1\n}\nobject B {\n  const val LIMIT = 3\n  val other = 2\n}\n",
            [("A", "class A"), ("A.MOST", "const val MOST = 5"), ("A.MADE", "val MADE = A()"),
             ("B", "object B"), ("B.LIMIT", "const val LIMIT = 3")],
        ),
        (
            "a.swift",
            "struct A {\n  static let most = 5\n  let own = 1\n}\n",
            [("A", "struct A"), ("A.most", "static let most")],
        ),
        (
            "a.ts",
            "class A {\n  static readonly MOST = 5;\n  private readonly own = 1;\n}\n",
            [("A", "class A"), ("A.MOST", "static readonly MOST")],
        ),
        (
            "a.js",
            "class A {\n  static MOST = 5;\n  own = 1;\n}\n",
            [("A", "class A"), ("A.MOST", "static MOST")],
        ),
        (
            "a.py",
            "class A:\n    MOST = 5\n    _LIMIT: int = 3\n    own = 1\n    unset: int\n",
            [("A", "class A"), ("A.MOST", "MOST"), ("A._LIMIT", "_LIMIT: int")],
        ),
        (
            "a.cpp",
            "class A {\n public:\n  static constexpr int kMost = 5;\n  int own = 1;\n"
            "  static int count;\n};\n",
            [("A", "class A"), ("A.kMost", "static constexpr int kMost")],
        ),
    ],
)  # fmt: skip
def test_constants_of_a_class(file: str, text: str, found: list[tuple[str, str]]) -> None:
    assert names(text, file) == found


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        (
            "a.test.js",
            "describe('Pump', () => {\n  it(`starts ${x} times`, () => {\n    y();\n  });\n"
            "  test('slow', async () => {\n    y();\n  }, 5000);\n"
            "  it('with options', async () => {\n    y();\n  }, { retry: 2 });\n"
            "  log('no test', 3);\n});\n",
            ["Pump", "Pump.starts ${x} times", "Pump.slow", "Pump.with options"],
        ),
        (
            "routes.ts",
            "app.get('/pumps', auth, async (req, res) => {\n  y();\n});\n"
            "router.route('/pumps/:id')\n  .get((req, res) => {\n    y();\n  })\n"
            "  .put(auth, (req, res) => {\n    y();\n  });\n"
            "fetch('/x').then((r) => {\n  y();\n});\n",
            ["/pumps", "/pumps/:id"],
        ),
        (
            "PumpTest.php",
            "<?php\ndescribe('Pump', function () {\n"
            "  it(\"starts\", function () {\n    y();\n  });\n"
            "  test('stops', fn () => y(1,\n    2))->with([1]);\n});\n"
            "Route::get('/pumps', function () {\n  return 1;\n});\ncall('no test', 1);\n",
            ["Pump", "Pump.starts", "Pump.stops", "/pumps"],
        ),
        (
            "PumpSpec.scala",
            'class PumpSpec extends AnyFlatSpec {\n  "A pump" should "start" in {\n    y()\n  }\n'
            '  it should "stop" in {\n    y()\n  }\n  test("by fun suite") {\n    y()\n  }\n'
            '  "by word spec" when {\n    "dry" should {\n      "wait" in {\n        y()\n      }\n'
            '    }\n  }\n  val sum = "a" + {\n    "b"\n  }\n}\n',
            ["PumpSpec", "PumpSpec.start", "PumpSpec.stop", "PumpSpec.by fun suite",
             "PumpSpec.by word spec", "PumpSpec.by word spec.dry",
             "PumpSpec.by word spec.dry.wait", "PumpSpec.sum"],
        ),
        (
            "PumpSpec.kt",
            'class PumpSpec : FunSpec({\n  test("starts") {\n    y()\n  }\n  "stops" {\n    y()\n'
            "  }\n})\n",
            ["PumpSpec", "PumpSpec.starts", "PumpSpec.stops"],
        ),
        (
            "PumpSpec.swift",
            'class PumpSpec: QuickSpec {\n  override func spec() {\n    describe("a pump") {\n'
            '      it("starts") {\n        y()\n      }\n    }\n  }\n}\n',
            ["PumpSpec", "PumpSpec.spec", "PumpSpec.spec.a pump", "PumpSpec.spec.a pump.starts"],
        ),
        (
            "pump_test.go",
            'package a\n\nfunc TestPump(t *testing.T) {\n\tt.Run("starts", func(t *testing.T) {\n'
            '\t\ty()\n\t})\n}\n\nfunc main() {\n\tmux.HandleFunc("/pumps", func(w W, r R) {\n'
            '\t\ty()\n\t})\n\tlog("no test", 3)\n}\n',
            ["TestPump", "TestPump.starts", "main", "main./pumps"],
        ),
        (
            "pump_spec.lua",
            'describe("a pump", function()\n  it("starts", function()\n    y()\n  end)\nend)\n',
            ["a pump", "a pump.starts"],
        ),
    ],
)  # fmt: skip
def test_what_is_named_by_words(file: str, text: str, found: list[str]) -> None:
    assert [name for name, _ in names(text, file)] == found
