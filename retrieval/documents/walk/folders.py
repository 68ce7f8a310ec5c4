"""Folders that hold what other programs put there: told by their marks, and some by their names.

A name alone decides only where it means nothing else (`node_modules`). Where it may (`vendor`,
`build`, `target`), a file in the folder or beside it must say what made it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from retrieval.documents.walk.left_out import Reason
from retrieval.documents.walk.settings_files import read_small

_BY_NAME: dict[str, Reason] = {
    name: reason
    for reason, names in {
        Reason.VERSION_CONTROL: ".git .hg .svn .jj .bzr .pijul .sl",
        Reason.ENVIRONMENT: ".venv .virtualenv .tox .nox .conda .pixi .direnv .devenv",
        Reason.DEPENDENCIES: "node_modules bower_components jspm_packages site-packages "
        "dist-packages __pypackages__ elm-stuff lua_modules vcpkg_installed _opam "
        ".eggs .m2 .npm .nuget .pnpm-store .pub-cache .spago .terraform .yarn",
        Reason.BUILD: "__pycache__ CMakeFiles DerivedData autom4te.cache buck-out dist-newstyle "
        "nimcache zig-cache zig-out .angular .astro .aws-sam .build .cache .ccls-cache .cpcache "
        ".dart_tool .docusaurus .dub .eslintcache .godot .gradle .hypothesis .ipynb_checkpoints "
        ".mypy_cache .next .nuxt .nx .nyc_output .output .parcel-cache .pytest_cache .ruff_cache "
        ".sass-cache .serverless .stack-work .svelte-kit .turbo .vite .zig-cache",
    }.items()
    for name in names.split()
}

_BESIDE: dict[str, tuple[tuple[frozenset[str], Reason], ...]] = {
    folder: tuple((frozenset(files.split()), reason) for files, reason in marks)
    for folder, marks in {
        "target": [("Cargo.toml pom.xml build.sbt plugins.sbt project.clj", Reason.BUILD)],
        "build": [
            ("build.gradle build.gradle.kts settings.gradle settings.gradle.kts", Reason.BUILD),
            ("pubspec.yaml docusaurus.config.js docusaurus.config.ts", Reason.BUILD),
        ],
        "_build": [
            ("conf.py dune-project mix.exs rebar.config _toc.yml", Reason.BUILD),
        ],
        "deps": [("mix.exs rebar.config", Reason.DEPENDENCIES)],
        "site": [("mkdocs.yml mkdocs.yaml", Reason.BUILD)],
        "_site": [("_config.yml _config.yaml .eleventy.js eleventy.config.js", Reason.BUILD)],
        "public": [("gatsby-config.js gatsby-config.ts hugo.toml hugo.yaml", Reason.BUILD)],
        "output": [("spago.dhall spago.yaml pelicanconf.py", Reason.BUILD)],
        "Pods": [("Podfile", Reason.DEPENDENCIES)],
        "Carthage": [("Cartfile", Reason.DEPENDENCIES)],
        "bazel-bin": [("MODULE.bazel WORKSPACE WORKSPACE.bazel", Reason.BUILD)],
        "bazel-out": [("MODULE.bazel WORKSPACE WORKSPACE.bazel", Reason.BUILD)],
        "bazel-testlogs": [("MODULE.bazel WORKSPACE WORKSPACE.bazel", Reason.BUILD)],
        "Library": [("ProjectSettings", Reason.BUILD)],
    }.items()
}
"""Names that mean this where one of these stands beside the folder."""

_BESIDE_SUFFIXES: dict[str, tuple[tuple[str, ...], Reason]] = {
    "bin": ((".csproj", ".fsproj", ".vbproj"), Reason.BUILD),
    "obj": ((".csproj", ".fsproj", ".vbproj"), Reason.BUILD),
    "dist": ((".cabal",), Reason.BUILD),
    "build": ((".xcodeproj",), Reason.BUILD),
    "Intermediate": ((".uproject",), Reason.BUILD),
    "Binaries": ((".uproject",), Reason.BUILD),
    "Saved": ((".uproject",), Reason.BUILD),
}


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a folder of a kind holds.

    Attributes:
        reason: why it is left out.
        folders: names that it may have; any, if there are none.
        all_of: names that must all stand in it.
        any_of: names of which one must.
        starts: beginnings of names of which one must.
        none_of: names that must not.
        beside: names of which one must stand beside it.
    """

    reason: Reason
    folders: str = ""
    all_of: str = ""
    any_of: str = ""
    starts: tuple[str, ...] = ()
    none_of: str = ""
    beside: str = ""

    def fits(self, name: str, names: frozenset[str], beside: frozenset[str]) -> bool:
        return (
            (not self.folders or name in self.folders.split())
            and names.issuperset(self.all_of.split())
            and (not self.any_of or not names.isdisjoint(self.any_of.split()))
            and (not self.starts or any(one.startswith(self.starts) for one in names))
            and names.isdisjoint(self.none_of.split())
            and (not self.beside or not beside.isdisjoint(self.beside.split()))
        )


_CACHE_TAG, _CACHE_SIGNATURE = "CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55"
_PYTHON = "setup.py pyproject.toml setup.cfg"
_MARKS = (
    _Mark(Reason.ENVIRONMENT, any_of="pyvenv.cfg conda-meta"),
    _Mark(Reason.DEPENDENCIES, all_of=".cargo-checksum.json"),
    _Mark(Reason.BUILD, any_of=".rustc_info.json meson-private project.assets.json"),
    _Mark(Reason.BUILD, all_of="CMakeCache.txt", none_of="CMakeLists.txt"),
    _Mark(Reason.BUILD, "assets packs", starts=(".sprockets-manifest",)),
    _Mark(Reason.VERSION_CONTROL, all_of="HEAD objects refs config"),
    _Mark(Reason.VERSION_CONTROL, "CVS", all_of="Entries Root"),
    _Mark(Reason.VERSION_CONTROL, "_darcs", all_of="format"),
    _Mark(Reason.DEPENDENCIES, "vendor", all_of="autoload.php composer"),
    _Mark(
        Reason.DEPENDENCIES,
        "vendor _vendor _vendored",
        any_of="modules.txt vendor.json vendor.txt",
    ),
    _Mark(Reason.DEPENDENCIES, "Pods", all_of="Manifest.lock"),
    _Mark(Reason.DEPENDENCIES, "bundle", all_of="ruby", none_of="Gemfile"),
    _Mark(Reason.BUILD, "build", starts=("lib.", "bdist.", "temp."), beside=_PYTHON),
    _Mark(Reason.BUILD, "build", all_of="lib", none_of="src", beside=_PYTHON),
    _Mark(Reason.BUILD, "build _build", any_of="doctrees .doctrees"),
    _Mark(Reason.BUILD, "coverage", any_of="lcov.info lcov-report clover.xml coverage-final.json"),
    _Mark(Reason.BUILD, "htmlcov", all_of="index.html"),
    _Mark(Reason.BUILD, "public", all_of="index.html sitemap.xml", beside="config.toml"),
)
HELD = frozenset(
    name for mark in _MARKS for name in f"{mark.all_of} {mark.any_of} bin {_CACHE_TAG}".split()
)
"""Names of entries that may tell what kind of folder they stand in."""

_OF_JAVASCRIPT = frozenset({"dist", "build", "out", "es", "esm", "cjs", "umd"})
_NAMED = _OF_JAVASCRIPT.union(name for mark in _MARKS for name in mark.folders.split())
_METADATA = (".egg-info", ".dist-info")

_MAX_SAMPLED = 12
_SCRIPTS = (".js", ".mjs", ".cjs", ".css")


def reason_by_name(name: str, beside: frozenset[str]) -> Reason | None:
    """Why a folder is left out unseen, by its name and what stands beside it; None if it is not."""
    found = _BY_NAME.get(name)
    if found is not None:
        return found
    for marks, reason in _BESIDE.get(name, ()):
        if not marks.isdisjoint(beside):
            return reason
    if name in _BESIDE_SUFFIXES:
        suffixes, reason = _BESIDE_SUFFIXES[name]
        if any(one.endswith(suffixes) for one in beside):
            return reason
    return None


def is_telling(name: str) -> bool:
    """Whether a folder of this name may be of a kind; any is if it holds one of `HELD`."""
    return name in _NAMED or name.endswith(_METADATA)


def reason_by_content(
    path: str,
    name: str,
    names: frozenset[str],
    beside: frozenset[str],
    is_machine_made: Callable[[str], bool],
) -> Reason | None:
    """Why a folder is left out, by what it holds; None if it is not.

    Args:
        path: the folder.
        name: its name.
        names: of its entries.
        beside: the names of the entries of the folder that it lies in.
        is_machine_made: whether the file at a path is one that a program made.
    """
    if name in _OF_JAVASCRIPT and "package.json" in beside:
        return Reason.BUILD if _is_built(path, names, is_machine_made) else None
    if names.isdisjoint(HELD) and not is_telling(name):
        return None
    for mark in _MARKS:
        if mark.fits(name, names, beside):
            return mark.reason
    if _CACHE_TAG in names and _is_cache(path):
        return Reason.BUILD
    if name.endswith(_METADATA) and ("PKG-INFO" in names or "METADATA" in names):
        return Reason.BUILD
    if {"bin", "lib"} <= names and os.path.isfile(os.path.join(path, "bin", "activate")):
        return Reason.ENVIRONMENT
    return None


def _is_cache(path: str) -> bool:
    """Whether the tag is that of https://bford.info/cachedir/."""
    try:
        return read_small(os.path.join(path, _CACHE_TAG)).startswith(_CACHE_SIGNATURE)
    except OSError:
        return False


def _is_built(path: str, names: Iterable[str], is_machine_made: Callable[[str], bool]) -> bool:
    """Whether scripts and styles in the folder, or in those in it, were built from others."""
    scripts = _scripts(path, names)
    if not scripts:
        for name in sorted(names):
            try:
                scripts = _scripts(os.path.join(path, name), os.listdir(os.path.join(path, name)))
            except OSError:
                continue
            if scripts:
                break
    if any(script.endswith(".map") for script in scripts):
        return True
    bare = {script for script in scripts if not script.endswith(".d.ts")}
    if any(f"{script.rsplit('.', 1)[0]}.d.ts" in scripts for script in bare):
        return True
    sampled = sorted(bare)[:_MAX_SAMPLED]
    return bool(sampled) and 2 * sum(map(is_machine_made, sampled)) >= len(sampled)


def _scripts(path: str, names: Iterable[str]) -> set[str]:
    wanted = (*_SCRIPTS, ".d.ts", *(f"{suffix}.map" for suffix in _SCRIPTS))
    return {os.path.join(path, name) for name in names if name.endswith(wanted)}
