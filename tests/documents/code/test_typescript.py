"""TypeScript by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
// Engines for the browser.
import type { Motor } from "./motor";
import fs = require("fs");
export * from "./parts";

export type Id = string | number;

export interface Loader<T> extends Base {
  limit: number;
  /** Loads it. */
  load(path: string): Promise<T>;
}

export enum Kind {
  Steam,
  Diesel,
}

namespace Inner {
  export function helper(a: number): string { return ""; }
}

@injectable()
export abstract class Engine<T> implements Loader<T> {
  constructor(private readonly motor: Motor) {
    super();
  }

  abstract stop(): void;

  @logged("x")
  async load(path: string): Promise<T> {
    return fs.read(path) as T;
  }

  private handler = (e: Event): void => {
    this.stop();
  };
}

export const make = <T,>(kind: Kind): Engine<T> => new Real<T>(kind);
"""


def test_typescript_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engine.ts",
        definitions=[
            ("Id", "export type Id"),
            ("Loader", "export interface Loader<T> extends Base"),
            ("Loader.load", "load(path: string): Promise<T>"),
            ("Kind", "export enum Kind"),
            ("Inner", "namespace Inner"),
            ("Inner.helper", "export function helper(a: number): string"),
            ("Engine", "export abstract class Engine<T> implements Loader<T>"),
            ("Engine.constructor", "constructor(private readonly motor: Motor)"),
            ("Engine.stop", "abstract stop(): void"),
            ("Engine.load", "async load(path: string): Promise<T>"),
            ("Engine.handler", "private handler = (e: Event): void"),
            ("make", "export const make = <T,>(kind: Kind): Engine<T>"),
        ],
        docs={
            "Loader.load": "/** Loads it. */",
        },
        parts=[
            "// Engines for the browser.",
            "export type Id = string | number;",
            "export interface Loader<T> extends Base {",
            "export enum Kind {",
            "namespace Inner {",
            "@injectable()",
            "export const make = <T,>(kind: Kind): Engine<T> => new Real<T>(kind);",
        ],
        title="Engines for the browser.",
        imports=["./motor", "fs", "./parts"],
    )


VIEW = """\
import React from "react";

export function View({ title }: Props): JSX.Element {
  const [open, setOpen] = React.useState(false);
  return (
    <div className="x">
      <button onClick={() => setOpen(!open)}>{title}</button>
    </div>
  );
}
"""


def test_jsx_is_read_too() -> None:
    for name in ("view.tsx", "view.jsx"):
        holds(
            VIEW if name == "view.tsx" else VIEW.replace(": Props): JSX.Element", ")"),
            name,
            definitions=[
                (
                    "View",
                    "export function View({ title }: Props): JSX.Element"
                    if name == "view.tsx"
                    else "export function View({ title })",
                )
            ],
            parts=[
                'import React from "react";',
                "export function View({ title }: Props): JSX.Element {"
                if name == "view.tsx"
                else "export function View({ title }) {",
            ],
            imports=["react"],
        )
