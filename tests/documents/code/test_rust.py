"""Rust by its grammar."""

from __future__ import annotations

import pytest

from tests.documents.code.reading import holds, parsed

TEXT = """\
//! Engines that are safe to drive.

use std::{fmt, io::Read};
use crate::motor::Motor as M;

/// One engine.
#[derive(Debug, Clone)]
pub struct Engine<T> {
    size: T,
}

pub enum Kind { Steam, Diesel }

pub trait Load: Sized {
    const LIMIT: usize;
    fn load(&self, path: &str) -> Result<Self, Error>;
    fn reload(&self) -> bool {
        true
    }
}

impl<T> Engine<T>
where
    T: Clone,
{
    /// Makes one.
    #[must_use]
    pub fn new(size: T) -> Self {
        Engine { size }
    }
}

impl<T> fmt::Display for Engine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "engine")
    }
}

macro_rules! square {
    ($x:expr) => { $x * $x };
}

pub const LIMIT: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads() {
        assert!(true);
    }
}
"""


def test_rust_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engine.rs",
        definitions=[
            ("Engine", "pub struct Engine<T>"),
            ("Kind", "pub enum Kind"),
            ("Load", "pub trait Load: Sized"),
            ("Load.LIMIT", "const LIMIT: usize"),
            ("Load.load", "fn load(&self, path: &str) -> Result<Self, Error>"),
            ("Load.reload", "fn reload(&self) -> bool"),
            ("Engine", "impl<T> Engine<T> where T: Clone"),
            ("Engine.new", "pub fn new(size: T) -> Self"),
            ("Engine", "impl<T> fmt::Display for Engine<T>"),
            ("Engine.fmt", "fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result"),
            ("square", "macro_rules! square"),
            ("LIMIT", "pub const LIMIT: usize"),
            ("tests", "mod tests"),
            ("tests.loads", "fn loads()"),
        ],
        docs={
            "Engine": "/// One engine.",
            "Engine.new": "/// Makes one.",
        },
        parts=[
            "//! Engines that are safe to drive.",
            "/// One engine.",
            "pub enum Kind { Steam, Diesel }",
            "pub trait Load: Sized {",
            "impl<T> Engine<T>",
            "impl<T> fmt::Display for Engine<T> {",
            "macro_rules! square {",
            "pub const LIMIT: usize = 3;",
            "#[cfg(test)]",
        ],
        title="Engines that are safe to drive.",
        imports=["std", "crate::motor::Motor", "super"],
    )


@pytest.mark.parametrize(
    ("of", "name"),
    [
        ("&dyn Foo", "Foo"),
        ("dyn Foo + Send", "Foo"),
        ("&'a mut (dyn Foo<T> + Send)", "Foo"),
        ("&&a::Foo", "Foo"),
        ("*const Foo", "Foo"),
        ("a::Foo<T>", "Foo"),
        ("Box<dyn Foo>", "Box"),
        ("dyn Fn(u8) -> u8", "Fn"),
        ("dyn Fn(u8) -> u8 + Send", "Fn"),
        ("fn(&str) -> u8", "fn(&str)->u8"),
        ("&fn()", "fn()"),
        ("&str", "str"),
        ("[T; 3]", "[T;3]"),
        ("(A, &B)", "(A,&B)"),
    ],
)
def test_an_implementation_has_the_name_of_its_type(of: str, name: str) -> None:
    outline = parsed(f"impl Load for {of} {{\n    fn load(&self) {{}}\n}}\n", "a.rs").outline
    assert [block.name for block in outline.blocks] == [name, f"{name}.load"]
