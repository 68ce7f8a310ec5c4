"""Lua by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds, parsed

TEXT = """\
--- Engines for games.
local motor = require("shop.motor")
local Engine = { limit = 3 }

-- Loads it.
function Engine.load(path, limit)
  local read = function(line)
    return line
  end
  return read(path)
end

function Engine:stop() return self.limit end

local function helper(x)
  return x
end

Engine.start = function(name)
  return name
end

return Engine
"""


def test_lua_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engine.lua",
        definitions=[
            ("Engine", "local Engine"),
            ("Engine.load", "function Engine.load(path, limit)"),
            ("Engine.load.read", "local read = function(line)"),
            ("Engine.stop", "function Engine:stop()"),
            ("helper", "local function helper(x)"),
            ("Engine.start", "Engine.start = function(name)"),
        ],
        docs={
            "Engine.load": "-- Loads it.",
        },
        parts=[
            "--- Engines for games.",
            "local Engine = { limit = 3 }",
            "-- Loads it.",
            "function Engine:stop() return self.limit end",
            "local function helper(x)",
            "Engine.start = function(name)",
            "return Engine",
        ],
        title="Engines for games.",
        imports=["shop.motor"],
    )


def test_a_string_without_a_blank_is_an_import_too() -> None:
    text = 'local a = require"shop.a"\nlocal b = require \'shop.b\'\nprint"words"\n'
    assert parsed(text, "a.lua").metadata["imports"] == ["shop.a", "shop.b"]
