"""SQL by its grammar."""

from __future__ import annotations

import pytest

from tests.documents.code.reading import holds, parsed

TEXT = """\
-- Stores of the harbour.

CREATE TABLE store (
  id INTEGER PRIMARY KEY, -- number
  name TEXT NOT NULL
);

CREATE INDEX store_name ON store (name);

/* The view of
   cold ones. */
CREATE OR REPLACE VIEW harbour.cold AS
SELECT * FROM store WHERE limit_c < 0;

-- Adds.
CREATE FUNCTION add(a integer, b integer) RETURNS integer AS $$
BEGIN
  RETURN a + b;
END;
$$ LANGUAGE plpgsql;

INSERT INTO store VALUES (1, 'North');

CREATE TRIGGER watch AFTER UPDATE ON store FOR EACH ROW EXECUTE FUNCTION mend();

CREATE TYPE mood AS ENUM ('sad', 'ok');
"""


def test_sql_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "stores.sql",
        definitions=[
            ("store", "CREATE TABLE store (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"),
            ("store_name", "CREATE INDEX store_name ON store (name)"),
            ("harbour.cold", "CREATE OR REPLACE VIEW harbour.cold AS"),
            ("add", "CREATE FUNCTION add(a integer, b integer) RETURNS integer"),
            (
                "watch",
                "CREATE TRIGGER watch AFTER UPDATE ON store FOR EACH ROW EXECUTE FUNCTION mend()",
            ),
            ("mood", "CREATE TYPE mood AS ENUM ('sad', 'ok')"),
        ],
        docs={
            "harbour.cold": "/* The view of\n   cold ones. */",
            "add": "-- Adds.",
        },
        parts=[
            "-- Stores of the harbour.",
            "CREATE TABLE store (",
            "CREATE INDEX store_name ON store (name);",
            "/* The view of",
            "-- Adds.",
            "INSERT INTO store VALUES (1, 'North');",
            "CREATE TRIGGER watch AFTER UPDATE ON store FOR EACH ROW EXECUTE FUNCTION mend();",
            "CREATE TYPE mood AS ENUM ('sad', 'ok');",
        ],
        title="Stores of the harbour.",
    )


def test_names_are_told_without_their_quotes() -> None:
    text = 'CREATE TABLE public."Boats" (\n  id INT\n);\n'
    assert [block.name for block in parsed(text, "boats.sql").outline.blocks] == ["public.Boats"]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("TABLE `shop`.`orders` (a INT)", "shop.orders"),
        ('TABLE "public"."users" (a INT)', "public.users"),
        ("TABLE [dbo].[Items] (a INT)", "dbo.Items"),
        ("TABLE [Items] (a INT)", "Items"),
        ("TABLE db.dbo.[Items] ([a b] INT)", "db.dbo.Items"),
        ('TABLE shop."Order Items" (a INT)', "shop.Order Items"),
        ("TABLE `plain` (a INT)", "plain"),
        ('VIEW "dbo"."v" AS SELECT 1', "dbo.v"),
        ('INDEX "my index" ON "dbo"."t" ("a")', "my index"),
        ("PROCEDURE dbo.[My Proc] @x int AS\nBEGIN\n  SELECT 1;\nEND", "dbo.My Proc"),
    ],
)
def test_parts_of_names_may_be_quoted_or_in_brackets(said: str, name: str) -> None:
    text = f"CREATE {said};\n"
    assert [block.name for block in parsed(text, "shop.sql").outline.blocks] == [name]


def test_brackets_of_arrays_and_in_strings_are_no_quotes() -> None:
    text = 'CREATE VIEW a AS SELECT ARRAY[b], c[d], "see [e] f", \'[g] "\' FROM h;\n'
    (block,) = parsed(text, "shop.sql").outline.blocks
    assert block.signature == "CREATE VIEW a AS"
    assert block.end == len(text) - 2
