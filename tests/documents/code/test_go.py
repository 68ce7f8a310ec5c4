"""Go by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
// Copyright 2024 The Authors.

// Package engines drives what there is to drive.
package engines

import (
	"fmt"
	web "net/http"
)

const Limit = 3

const (
	Steam = iota
	Diesel
)

var ErrStopped = errors.New("stopped")

// Engine is one engine.
type Engine[T any] struct {
	size int
}

type Loader interface {
	// Load loads it.
	Load(path string) error
}

// Load reads it.
func (e *Engine[T]) Load(path string) (int, error) {
	go func() {
		fmt.Println(path)
	}()
	return 1, nil
}

func New(
	size int,
	path string,
) *Engine {
	return nil
}
"""


def test_go_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engine.go",
        definitions=[
            ("Limit", "const Limit"),
            ("Steam", "Steam"),
            ("Diesel", "Diesel"),
            ("ErrStopped", "var ErrStopped"),
            ("Engine", "type Engine[T any] struct"),
            ("Loader", "type Loader interface"),
            ("Loader.Load", "Load(path string) error"),
            ("Engine.Load", "func (e *Engine[T]) Load(path string) (int, error)"),
            ("New", "func New(size int, path string) *Engine"),
        ],
        docs={
            "Engine": "// Engine is one engine.",
            "Loader.Load": "// Load loads it.",
            "Engine.Load": "// Load reads it.",
        },
        parts=[
            "// Copyright 2024 The Authors.",
            "const Limit = 3",
            "const (",
            "Diesel",
            'var ErrStopped = errors.New("stopped")',
            "// Engine is one engine.",
            "type Loader interface {",
            "// Load reads it.",
            "func New(",
        ],
        title="Package engines drives what there is to drive.",
        imports=["fmt", "net/http"],
    )
