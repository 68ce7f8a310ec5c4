"""Scala by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
package shop.engines

import scala.util.{Try, Failure => F}
import shop.motor._

/** One engine. */
@deprecated("x")
case class Engine[T](size: Int) extends Base with Loader {
  val power: Int = size * 2

  /** Loads it. */
  def load(path: String)(implicit limit: Int): Try[T] = {
    def twice(x: Int) = {
      x * 2
    }
    read(path)
  }

  private def half = size / 2
}

object Engine {
  def apply(size: Int): Engine = new Engine(size)
}

trait Loader {
  def load(path: String): Unit
}

enum Kind {
  case Steam, Diesel
}
"""


def test_scala_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "Engine.scala",
        definitions=[
            ("Engine", "case class Engine[T](size: Int) extends Base with Loader"),
            ("Engine.power", "val power: Int"),
            ("Engine.load", "def load(path: String)(implicit limit: Int): Try[T]"),
            ("Engine.load.twice", "def twice(x: Int)"),
            ("Engine.half", "private def half"),
            ("Engine", "object Engine"),
            ("Engine.apply", "def apply(size: Int): Engine"),
            ("Loader", "trait Loader"),
            ("Loader.load", "def load(path: String): Unit"),
            ("Kind", "enum Kind"),
        ],
        docs={
            "Engine": "/** One engine. */",
            "Engine.load": "/** Loads it. */",
        },
        parts=[
            "package shop.engines",
            "/** One engine. */",
            "object Engine {",
            "trait Loader {",
            "enum Kind {",
        ],
        imports=["scala.util", "shop.motor"],
    )
