"""JavaScript by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds, named, parsed

TEXT = """\
#!/usr/bin/env node
/*!
 * Copyright (c) 2024 The Authors
 */

/**
 * Engines, and what drives them.
 */
'use strict'

import Motor, { start } from "./motor.js";
const fs = require('fs');
const LIMIT = 3, NAME = "x";

/** One engine. */
@sealed
export default class Engine extends Motor {
  static #count = 0;

  // Reads it.
  async load(path, { strict = false } = {}) {
    const parse = (line) => {
      return line.trim();
    };
    return fs.read(path).map(parse);
  }

  get size() { return 1; }

  onStop = (event) => {
    this.stop(event);
  };
}

export const run = async (engine) => {
  await engine.load("a");
};

Engine.prototype.stop = function () {
  return true;
};

module.exports.make = function make(kind) {
  return new Engine(kind);
};

const handlers = {
  open(path) { return path; },
  close: function (path) {
    return path;
  },
};

describe("Engine", () => {
  it("loads a file", async () => {
    expect(1).toBe(1);
  });
});
"""


def test_javascript_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engine.js",
        definitions=[
            ("LIMIT", "const LIMIT"),
            ("Engine", "export default class Engine extends Motor"),
            ("Engine.count", "static #count"),
            ("Engine.load", "async load(path, { strict = false } = {})"),
            ("Engine.load.parse", "const parse = (line)"),
            ("Engine.size", "get size()"),
            ("Engine.onStop", "onStop = (event)"),
            ("run", "export const run = async (engine)"),
            ("Engine.stop", "Engine.prototype.stop = function ()"),
            ("make", "module.exports.make = function make(kind)"),
            ("handlers", "const handlers"),
            ("handlers.open", "open(path)"),
            ("handlers.close", "close: function (path)"),
            ("Engine", ""),
            ("Engine.loads a file", ""),
        ],
        docs={
            "Engine": "/** One engine. */",
            "Engine.load": "// Reads it.",
        },
        parts=[
            "#!/usr/bin/env node",
            'const LIMIT = 3, NAME = "x";',
            "/** One engine. */",
            "export const run = async (engine) => {",
            "Engine.prototype.stop = function () {",
            "module.exports.make = function make(kind) {",
            "const handlers = {",
            'describe("Engine", () => {',
        ],
        title="Engines, and what drives them.",
        imports=["./motor.js", "fs"],
    )


def test_functions_with_a_name_of_their_own_are_known_by_it() -> None:
    holds(
        """\
module.exports = function createEngine(kind) {
  return kind;
};

/** Which protocol. */
define(request, "protocol", function protocol() {
  return this.scheme;
});

engine.use(function onError(error, next) {
  next(error);
});

queue.each(items, function visit(item) {
  item.run();
});

it("starts", function test(done) {
  done();
});

start(function () {
  return 1;
});
""",
        "engine.js",
        definitions=[
            ("createEngine", "module.exports = function createEngine(kind)"),
            ("protocol", 'define(request, "protocol", function protocol()'),
            ("onError", "engine.use(function onError(error, next)"),
            ("visit", "queue.each(items, function visit(item)"),
            ("starts", ""),
        ],
        docs={"protocol": "/** Which protocol. */"},
        parts=[
            "module.exports = function createEngine(kind) {",
            "/** Which protocol. */",
            "engine.use(function onError(error, next) {",
            "queue.each(items, function visit(item) {",
            'it("starts", function test(done) {',
            "start(function () {",
        ],
    )


def test_what_a_module_exports_without_a_name_is_its_default() -> None:
    text = """\
// Opens menus.
export default class extends Controller {
  connect() {
    this.open();
  }
  toggle = () => {
    this.close();
  }
}
"""
    expected = {
        "default": "export default class extends Controller",
        "default.connect": "connect()",
        "default.toggle": "toggle = ()",
    }
    for name in ("menu_controller.js", "menu_controller.ts"):
        assert named(parsed(text, name).outline) == expected
    function = "export default async (request) => {\n  return 1;\n};\n"
    assert named(parsed(function, "a.js").outline) == {"default": "export default async (request)"}
    with_name = "export default function answer() {\n  return 1;\n}\n"
    assert [*named(parsed(with_name, "a.js").outline)] == ["answer"]


def test_only_modules_are_imports() -> None:
    text = """\
const menu = $("#menu");
const http = require("http"), said = _("words"), all = $$(".a");
load("users");
define("a");
require(
  'b');
"""
    assert parsed(text, "a.js").metadata["imports"] == ["http", "b"]
    assert parsed(text, "a.ts").metadata["imports"] == ["http", "b"]
    assert "imports" not in parsed('jQuery("#y").show();\n$("a");\n', "a.js").metadata
