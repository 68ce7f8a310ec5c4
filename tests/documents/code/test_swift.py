"""Swift by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds, parsed

TEXT = """\
import Foundation
import class UIKit.UIView

/// One engine.
@objc
public final class Engine<T>: Base, Loader where T: Motor {
    var size: Int = 1
    var power: Int {
        return size * 2
    }

    init(size: Int) {
        self.size = size
    }

    /// Loads it.
    @discardableResult
    public func load(_ path: String, limit: Int = 3) throws -> Int {
        func twice(x: Int) -> Int {
            return x * 2
        }
        return twice(x: limit)
    }

    deinit {
        stop()
    }
}

extension Engine: Hashable {
    func hash() -> Int { return 1 }
}

protocol Loader {
    func load(_ path: String) throws
}

struct Part { }

enum Kind {
    case steam
    case diesel
}

typealias Names = [String]
"""


def test_swift_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "Engine.swift",
        definitions=[
            ("Engine", "public final class Engine<T>: Base, Loader where T: Motor"),
            ("Engine.power", "var power: Int"),
            ("Engine.init", "init(size: Int)"),
            ("Engine.load", "public func load(_ path: String, limit: Int = 3) throws -> Int"),
            ("Engine.load.twice", "func twice(x: Int) -> Int"),
            ("Engine.deinit", "deinit"),
            ("Engine", "extension Engine: Hashable"),
            ("Engine.hash", "func hash() -> Int"),
            ("Loader", "protocol Loader"),
            ("Loader.load", "func load(_ path: String) throws"),
            ("Part", "struct Part"),
            ("Kind", "enum Kind"),
            ("Names", "typealias Names = [String]"),
        ],
        docs={
            "Engine": "/// One engine.",
            "Engine.load": "/// Loads it.",
        },
        parts=[
            "import Foundation",
            "/// One engine.",
            "extension Engine: Hashable {",
            "protocol Loader {",
            "struct Part { }",
            "enum Kind {",
            "typealias Names = [String]",
        ],
        imports=["Foundation", "UIKit.UIView"],
    )


def test_operators_are_named_by_their_sign() -> None:
    text = """\
struct Boat: Equatable {
    static func == (one: Boat, other: Boat) -> Bool {
        true
    }
    static prefix func - (boat: Boat) -> Boat {
        boat
    }
}
func *** (one: Int, other: Int) -> Int {
    1
}
"""
    names = [block.name for block in parsed(text, "boat.swift").outline.blocks]
    assert names == ["Boat", "Boat.==", "Boat.-", "***"]
