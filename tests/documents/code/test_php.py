"""PHP by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
<?php
/**
 * This file is part of the engines.
 */

namespace Shop\\Engines;

use Shop\\Motor;
use Shop\\Parts\\{Wheel, Axle as A};
require_once 'setup.php';

/** One engine. */
#[Entity]
final class Engine extends Base implements Loader
{
    use Countable;

    const LIMIT = 3;

    public function __construct(private string $name)
    {
    }

    /** Loads it. */
    public static function load(string $path, int ...$limits): ?int
    {
        return array_map(function ($x) {
            return $x;
        }, $limits);
    }
}

interface Loader { public function load(string $path); }

trait Countable
{
    function count() { return 1; }
}

enum Kind: string
{
    case Steam = 's';
    function label() { return 'x'; }
}

function helper(&$a) { return $a; }
"""


def test_php_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engine.php",
        definitions=[
            ("Engine", "final class Engine extends Base implements Loader"),
            ("Engine.LIMIT", "const LIMIT"),
            ("Engine.__construct", "public function __construct(private string $name)"),
            ("Engine.load", "public static function load(string $path, int ...$limits): ?int"),
            ("Loader", "interface Loader"),
            ("Countable", "trait Countable"),
            ("Countable.count", "function count()"),
            ("Kind", "enum Kind: string"),
            ("Kind.label", "function label()"),
            ("helper", "function helper(&$a)"),
        ],
        docs={
            "Engine": "/** One engine. */",
            "Engine.load": "/** Loads it. */",
        },
        parts=[
            "<?php",
            "/** One engine. */",
            "interface Loader { public function load(string $path); }",
            "trait Countable",
            "enum Kind: string",
            "function helper(&$a) { return $a; }",
        ],
        imports=["Shop\\Motor", "Shop\\Parts", "setup.php"],
    )
