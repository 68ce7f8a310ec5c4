"""Vue's and Svelte's components: their scripts and styles by their own grammars."""

from __future__ import annotations

import random

import pytest

from retrieval.documents import workers
from retrieval.documents.formats import code
from tests.documents.code.reading import check, context_of, doc, named, parsed
from tests.documents.code.test_hostile import mutated
from tests.documents.workers import foreign_parsers

VUE = """\
<template>
  <ul class="pumps">
    <li v-for="pump in pumps" @click="start(pump)">{{ pump.name }}</li>
  </ul>
</template>

<script setup lang="ts">
import { ref } from 'vue'
import type { Pump } from './pumps'

// Starts a pump.
function start(pump: Pump): void {
  pump.open = true
}
</script>

<style scoped>
.pumps {
  color: blue;
  margin: 0;
}
</style>
"""

SVELTE = """\
<script>
  import { onMount } from 'svelte';

  export let pumps = [];

  function stop(pump) {
    pump.open = false;
  }
</script>

<ul>
  {#each pumps as pump}
    <li on:click={() => stop(pump)}>{pump.name}</li>
  {/each}
</ul>
"""


def test_scripts_and_styles_of_a_component_are_read_in_their_languages() -> None:
    found = parsed(VUE, "List.vue")
    assert named(found.outline)["start"] == "function start(pump: Pump): void"
    assert ".pumps" in named(found.outline)
    assert doc(found.outline, VUE, "start") == "// Starts a pump."
    assert found.metadata == {"language": "vue", "imports": ["vue", "./pumps"]}
    assert {block.language for block in found.outline.blocks} == {"typescript", "css"}
    assert not found.by_layout
    assert context_of(VUE, "List.vue", "pump.open = true").symbol == "start"


def test_markup_beside_them_is_cut_by_its_layout() -> None:
    starts = [VUE[part.start :].split("\n")[0] for part in parsed(VUE, "List.vue").outline.parts]
    assert starts[0] == "<template>"
    assert '<script setup lang="ts">' in starts and "<style scoped>" in starts
    assert "// Starts a pump." in starts


def test_svelte_has_its_script_where_it_stands() -> None:
    found = parsed(SVELTE, "List.svelte")
    assert named(found.outline)["stop"] == "function stop(pump)"
    assert found.metadata["imports"] == ["svelte"]


@pytest.mark.parametrize(
    "text", ["<script>", "<script>\nlet a = ", "<style>\n.a {\n", "</script>", "<template/>", "\n"]
)
def test_a_component_that_is_cut_off_is_read_all_the_same(text: str) -> None:
    parsed(text, "Cut.vue")


@pytest.mark.parametrize("line", ["<script>\n", "<script\n", "<style>\n</script>\n"])
def test_tags_without_their_ends_are_passed_over_once(line: str) -> None:
    parsed(line * 50_000, "Cut.vue")  # for hours, were the rest of it searched at each


def test_a_script_that_ends_its_parser_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "parse_in_worker", foreign_parsers.aborts)
    deep = f"<script>\nx = {'[' * 200}{']' * 200}\n</script>\n"
    found = parsed(deep, "Deep.vue")
    workers.stop()
    assert found.by_layout
    (problem,) = found.problems
    assert "crashed (SIGABRT)" in problem and problem.endswith("cut by its layout")


def test_mutated_components_have_an_outline() -> None:
    rng = random.Random(1)
    for _ in range(100):
        text = mutated(rng.choice([VUE, SVELTE]), rng.choice([VUE, SVELTE]), rng)
        text = text.encode(errors="replace").decode()  # a lone half of a pair is no text
        found = code.read_as(text, "vue")
        check(found.outline, text)
    workers.stop()
