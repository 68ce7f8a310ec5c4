"""The embedded model, compiled and by ONNX Runtime, limited to the same instruction sets.

    python -m benchmarks.instruction_sets RESULT.json

ONNX Runtime asks the processor what it supports, and no option limits that. So its library is
copied, its cpuid instructions are replaced by an invalid one, and a handler of that fault
(cpuid_mask.c) answers as a processor without AMX, without AVX-512, or without VNNI would. Needs an
x86 processor with AVX-512 VNNI, a C compiler and objdump; instruction sets that the processor lacks
are left out. Times are CPU seconds on one thread, the best of many alternating runs, for texts of
random tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import environment
from benchmarks.json_files import write_json
from retrieval.encoders import model_folder
from retrieval.encoders.embedded import embedded_folder
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.quantized import tensor_places
from retrieval.encoders.model_folder import ModelSettings
from retrieval.encoders.runtimes import compiled, onnx

LENGTHS = (16, 64, 256, 1_024)
HIDDEN = {"amx": "", "avx512": "amx", "avxvnni": "avx512", "avx2": "vnni"}
"""Instruction sets, and the features that are hidden from ONNX Runtime for each."""
MIN_RUNS, RUN_TOKENS, MIN_TOKENS = 40, 60_000, 256


def copy_without_cpuid(folder: Path) -> Path:
    """A copy of ONNX Runtime in `folder` whose cpuid instructions are ud2."""
    import onnxruntime

    copy = folder / "onnxruntime"
    shutil.copytree(Path(onnxruntime.__file__).parent, copy)
    (library,) = copy.glob("capi/onnxruntime_pybind11_state*.so")
    code = _output("objdump", "-d", "--no-show-raw-insn", library)
    addresses = [int(at, 16) for at in re.findall(r"^\s*(\w+):\s+cpuid\b", code, re.MULTILINE)]
    section = re.search(r"\.text\s+PROGBITS\s+(\w+)\s+(\w+)", _output("readelf", "-SW", library))
    assert section is not None and addresses
    start, offset = (int(part, 16) for part in section.groups())
    raw = bytearray(library.read_bytes())
    for address in addresses:
        at = address - start + offset
        assert raw[at : at + 2] == b"\x0f\xa2"
        raw[at : at + 2] = b"\x0f\x0b"
    library.write_bytes(raw)
    return copy


def measure_isa(isa: str) -> dict[str, Any]:
    """Microseconds per token at each length, compiled and by ONNX Runtime."""
    model = embedded_folder()
    raw_config = model_folder.read_config(model)
    config = ModernBertConfig.from_dict(raw_config)
    settings = ModelSettings.from_dict(
        raw_config[model_folder.SECTION], max_positions=config.max_positions
    )
    tensors = tensor_places(model / model_folder.WEIGHTS_FILE)
    if HIDDEN[isa] == "vnni":  # as on a processor without VNNI
        onnx.int8_overflows = lambda: True
    networks = {
        "compiled": compiled.CompiledNetwork(model, config, tensors, settings.dense_window, isa),
        "onnx": onnx.OnnxNetwork(model),
    }
    result = {}
    for length in LENGTHS:
        ids = np.random.default_rng(length).integers(0, config.vocab_size, length)
        repeats = max(1, MIN_TOKENS // length)
        best_s = dict.fromkeys(networks, float("inf"))
        for _ in range(max(MIN_RUNS, RUN_TOKENS // (repeats * length))):
            for name, network in networks.items():
                started = time.process_time()
                for _ in range(repeats):
                    network(ids)
                best_s[name] = min(best_s[name], (time.process_time() - started) / repeats / length)
        result[str(length)] = {name: round(1e6 * seconds, 1) for name, seconds in best_s.items()}
    return result


def main() -> None:
    """Measure each instruction set in a process of its own, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--one", choices=HIDDEN, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        args.out.write_text(json.dumps(measure_isa(args.one)))
        return
    result = {**environment(["onnxruntime"]), "load": os.getloadavg()[0], "us_per_token": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_without_cpuid(folder)
        mask, isa_result = folder / "mask.so", folder / "found.json"
        source = Path(__file__).with_name("cpuid_mask.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", source, "-o", mask], check=True)
        for isa in filter(HIDDEN.__contains__, compiled.available()):
            variables = {"LD_PRELOAD": str(mask), "HIDE": HIDDEN[isa], "OMP_NUM_THREADS": "1"}
            path = os.pathsep.join([name, *filter(None, [os.environ.get("PYTHONPATH")])])
            subprocess.run(
                [sys.executable, "-m", "benchmarks.instruction_sets", isa_result, "--one", isa],
                env=os.environ | variables | {"PYTHONPATH": path},
                check=True,
            )
            result["us_per_token"][isa] = json.loads(isa_result.read_text())
    write_json(args.out, result)


def _output(*command: str | Path) -> str:
    """Standard output of a command."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
