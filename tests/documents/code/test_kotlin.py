"""Kotlin by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds, parsed

TEXT = """\
package shop.engines

import shop.motor.Motor
import kotlin.math.*

/** One engine. */
@Serializable
class Engine<T>(val size: Int) : Base(size), Loader {
  val power: Int = 2

  /** Loads it. */
  @Throws(IOException::class)
  override suspend fun load(path: String, limit: Int = 3): T? {
    fun twice(x: Int): Int {
      return x * 2
    }
    return read(path)
  }

  fun half() = size / 2

  companion object {
    const val LIMIT = 3

    fun make(size: Int): Engine {
      return Engine(size)
    }
  }
}

object Registry {
  fun find(name: String) = names[name]
}

interface Loader {
  fun load(path: String)
}

enum class Kind { STEAM, DIESEL }

fun String.asEngine(): Engine = Engine(1)

typealias Names = List<String>
"""


def test_kotlin_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "Engine.kt",
        definitions=[
            ("Engine", "class Engine<T>(val size: Int) : Base(size), Loader"),
            ("Engine.load", "override suspend fun load(path: String, limit: Int = 3): T?"),
            ("Engine.load.twice", "fun twice(x: Int): Int"),
            ("Engine.half", "fun half()"),
            ("Engine.LIMIT", "const val LIMIT = 3"),
            ("Engine.make", "fun make(size: Int): Engine"),
            ("Registry", "object Registry"),
            ("Registry.find", "fun find(name: String)"),
            ("Loader", "interface Loader"),
            ("Loader.load", "fun load(path: String)"),
            ("Kind", "enum class Kind"),
            ("asEngine", "fun String.asEngine(): Engine"),
            ("Names", "typealias Names = List<String>"),
        ],
        docs={
            "Engine": "/** One engine. */",
            "Engine.load": "/** Loads it. */",
        },
        parts=[
            "package shop.engines",
            "/** One engine. */",
            "object Registry {",
            "interface Loader {",
            "enum class Kind { STEAM, DIESEL }",
            "fun String.asEngine(): Engine = Engine(1)",
            "typealias Names = List<String>",
        ],
        imports=["shop.motor.Motor", "kotlin.math"],
    )


def test_names_in_backticks_keep_their_blanks() -> None:
    text = """\
class BoatTest {
    @Test
    fun `rents a boat twice`() {
    }
}
"""
    names = [block.name for block in parsed(text, "BoatTest.kt").outline.blocks]
    assert names == ["BoatTest", "BoatTest.rents a boat twice"]
