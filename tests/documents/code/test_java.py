"""Java by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds, parsed

TEXT = """\
/* Copyright 2024 */
package org.example.engines;

import java.util.List;
import static java.util.Map.entry;

/**
 * One engine.
 */
@Entity(name = "engine")
public class Engine<T extends Motor> extends Base implements Loader {
  private static final int LIMIT = 3;

  /** Makes one. */
  public Engine(int size) {
    super(size);
  }

  @Override
  @Deprecated
  public <R> List<R> load(
      String path, // where it is
      int limit) throws IOException {
    Runnable r = () -> { run(); };
    return null;
  }

  enum Kind {
    STEAM { @Override int power() { return 1; } },
    DIESEL;

    int power() { return 2; }
  }

  interface Part { int size(); }

  record Point(int x, int y) {
    Point {
      check(x);
    }
  }
}
"""


def test_java_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "Engine.java",
        definitions=[
            ("Engine", "public class Engine<T extends Motor> extends Base implements Loader"),
            ("Engine.LIMIT", "private static final int LIMIT"),
            ("Engine.Engine", "public Engine(int size)"),
            ("Engine.load", "public <R> List<R> load(String path, int limit) throws IOException"),
            ("Engine.Kind", "enum Kind"),
            ("Engine.Kind.power", "int power()"),
            ("Engine.Part", "interface Part"),
            ("Engine.Point", "record Point(int x, int y)"),
            ("Engine.Point.Point", "Point"),
        ],
        docs={
            "Engine": "/**\n * One engine.\n */",
            "Engine.Engine": "/** Makes one. */",
        },
        parts=[
            "/* Copyright 2024 */",
            "/**",
        ],
        imports=["java.util.List", "java.util.Map.entry"],
    )


def test_imports_of_all_that_a_package_has() -> None:
    text = "import java.util.*;\nimport static java.lang.Math.*;\nclass Boat {\n}\n"
    assert parsed(text, "Boat.java").metadata["imports"] == ["java.util", "java.lang.Math"]
