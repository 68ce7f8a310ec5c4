"""Compile every Triton kernel for real GPUs, which needs none: `python -m tests.kernel_signatures`.

The interpreter takes programs that the compiler refuses: of mixed types, or of sizes that a
product cannot have. Prints a line a kernel and architecture.
"""

from __future__ import annotations

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from retrieval.encoders.gpu import attention, elementwise
from retrieval.indexes.gpu import centroid_max, max_sim, max_sim_compressed

ARCHITECTURES = (80, 90)
HALVES = ("fp32", "fp16", "bf16")


def sources():
    """(name, kernel, types of its arguments by name, constants, options)."""
    for kind in HALVES:
        for windowed, queries in ((False, 128), (True, 64)):
            yield (
                f"attention {kind} windowed={windowed}",
                attention._attention,
                dict.fromkeys(("q", "k", "v", "out"), f"*{kind}") | {"blocks": "*i32"}
                | {f"{x}_{of}": "i32" for x in ("q", "k", "v", "out") for of in ("row", "head")}
                | {"scale": "fp32", "window": "i32"},
                {"WINDOWED": windowed, "DIM": 64, "QUERIES": queries, "KEYS": 64}
                | {"PRECISION": "ieee" if kind == "fp32" else "tf32"},
                {"num_warps": 4, "num_stages": 2},
            )  # fmt: skip
        yield (
            f"rotate {kind}",
            elementwise._rotate,
            {"qkv": f"*{kind}", "cos": "*fp32", "sin": "*fp32"}
            | dict.fromkeys(("tokens", "row", "dim"), "i32"),
            {"HALF": 32, "ROWS": 8},
            {"num_warps": 2},
        )
        yield (
            f"add_norm {kind}",
            elementwise._add_norm,
            dict.fromkeys(("x", "y", "total", "normed", "weight", "bias"), f"*{kind}")
            | {"hidden": "i32", "eps": "fp32"},
            {"BIAS": True, "WIDTH": 1024},
            {"num_warps": 4},
        )
        yield (
            f"geglu {kind}",
            elementwise._geglu,
            {"x": f"*{kind}", "out": f"*{kind}", "inner": "i32"},
            {"COLUMNS": 1024},
            {"num_warps": 4},
        )
    shared = {"offsets": "*i64", "rows": "*i64", "query": "*i8", "factors": "*fp32"}
    shared |= {"bounds": "*i64", "out": "*fp32", "queries": "i32", "passages": "i32", "dim": "i32"}
    for tokens, whole in ((16, True), (256, True), (256, False)):
        sizes = {"TOKENS": tokens, "WHOLE": whole, "DIM": 128, "ASKED": 32}
        yield (
            f"max_sim {tokens} whole={whole}",
            max_sim._max_sim,
            {"codes": "*i8", "scales": "*fp32"} | shared,
            sizes,
            {"num_warps": 4, "num_stages": 2},
        )
        for bits in (2, 4):
            yield (
                f"max_sim_compressed {tokens} whole={whole} bits={bits}",
                max_sim_compressed._max_sim_compressed,
                {"codes": "*u16", "residuals": "*u8", "centroids": "*i8", "classes": "*u8"}
                | {"levels": "*i8", "width": "i32"}
                | shared,
                sizes | {"BITS": bits},
                {"num_warps": 4, "num_stages": 1},
            )
    yield (
        "centroid_max",
        centroid_max._centroid_max,
        {"table": "*u8", "codes": "*u16", "offsets": "*i64", "rows": "*i64", "out": "*i32"}
        | {"lanes": "i32"},
        {"TOKENS": 32, "LANES": 32},
        {"num_warps": 1},
    )


def main() -> None:
    """Compile all; the first that cannot be raises."""
    for architecture in ARCHITECTURES:
        for name, kernel, types, constants, options in sources():
            order = {own: types.get(own, "constexpr") for own in kernel.arg_names}
            source = ASTSource(kernel, order, constexprs=constants)
            made = triton.compile(source, GPUTarget("cuda", architecture, 32), options)
            facts = made.metadata
            assert len(made.asm["cubin"]) > 0
            print(f"sm_{architecture} {name}: {facts.shared} bytes shared", flush=True)


if __name__ == "__main__":
    main()
