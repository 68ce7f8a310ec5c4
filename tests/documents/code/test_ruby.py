"""Ruby by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
# frozen_string_literal: true

require 'json'
require_relative "motor"

# One engine.
module Shop
  class Engine < Base
    LIMIT = 3
    attr_reader :size

    # Loads it.
    def load(path, limit: LIMIT)
      File.open(path) do |file|
        file.read
      end
    end

    def self.build(kind)
      new(kind)
    end

    class << self
      def count
        1
      end
    end

    private def ready?
      true
    end

    def <=>(other)
      0
    end
  end
end

describe "Engine" do
  it "loads a file" do
    expect(1).to eq(1)
  end
end
"""


def test_ruby_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engine.rb",
        definitions=[
            ("Shop", "module Shop"),
            ("Shop.Engine", "class Engine < Base"),
            ("Shop.Engine.LIMIT", "LIMIT"),
            ("Shop.Engine.load", "def load(path, limit: LIMIT)"),
            ("Shop.Engine.build", "def self.build(kind)"),
            ("Shop.Engine.count", "def count"),
            ("Shop.Engine.ready?", "private def ready?"),
            ("Shop.Engine.<=>", "def <=>(other)"),
            ("Engine", ""),
            ("Engine.loads a file", ""),
        ],
        docs={
            "Shop": "# One engine.",
            "Shop.Engine.load": "# Loads it.",
        },
        parts=[
            "# frozen_string_literal: true",
            "# One engine.",
            'describe "Engine" do',
        ],
        imports=["json", "motor"],
    )
