#!/usr/bin/env python3
"""Writes testdata/gguf/types.gguf with the gguf package (0.19): a tensor of every type brew reads,
beside it, as NAME.f32, the values the package itself dequantises it to; and a key of every type.

usage: gguf_goldens.py testdata/gguf/types.gguf
"""
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

ROWS, COLUMNS = 2, 512
rng = np.random.default_rng(7)


def random_blocks(kind, scales):
    """Random bytes; the f16 fields at `scales` get finite values of every size and sign."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (ROWS, COLUMNS // block, size), dtype=np.uint8)
    for at in scales:
        bits = rng.integers(0, 0x7C00, raw.shape[:2], dtype=np.uint16)
        bits |= rng.integers(0, 2, raw.shape[:2], dtype=np.uint16) << np.uint16(15)
        raw[..., at : at + 2] = bits[..., None].view(np.uint8)
    return raw.reshape(ROWS, -1)


def main(path):
    out = gguf.GGUFWriter(path, "llama")
    out.add_uint8("n.u8", 200)
    out.add_int8("n.i8", -100)
    out.add_uint16("n.u16", 60000)
    out.add_int16("n.i16", -30000)
    out.add_uint32("n.u32", 4000000000)
    out.add_int32("n.i32", -2000000000)
    out.add_float32("n.f32", 0.5)
    out.add_bool("n.bool", True)
    out.add_string("n.string", "caf\u00e9")
    out.add_uint64("n.u64", 2**64 - 1)
    out.add_int64("n.i64", -(2**62))
    out.add_float64("n.f64", 0.1)
    out.add_array("a.strings", ["one", "", "three\u00df"])
    out.add_array("a.ints", [3, -4, 5])
    out.add_array("a.reals", [0.25, -8.0])

    normal = rng.standard_normal((ROWS, COLUMNS)).astype(np.float32)
    tensors = {
        "f32": (T.F32, normal),
        "f16": (T.F16, normal.astype(np.float16)),
        "bf16": (T.BF16, gguf.quants.quantize(normal, T.BF16)),
        "q8_0": (T.Q8_0, gguf.quants.quantize(normal, T.Q8_0)),
        "q4_0": (T.Q4_0, gguf.quants.quantize(normal, T.Q4_0)),
        "q4_1": (T.Q4_1, gguf.quants.quantize(normal, T.Q4_1)),
        "q8_0.random": (T.Q8_0, random_blocks(T.Q8_0, [0])),
        "q4_0.random": (T.Q4_0, random_blocks(T.Q4_0, [0])),
        "q4_1.random": (T.Q4_1, random_blocks(T.Q4_1, [0, 2])),
        "q4_k": (T.Q4_K, random_blocks(T.Q4_K, [0, 2])),
        "q6_k": (T.Q6_K, random_blocks(T.Q6_K, [208])),
    }
    for name, (kind, raw) in tensors.items():
        values = raw.astype(np.float32) if kind in (T.F32, T.F16) else gguf.quants.dequantize(raw, kind)
        assert values.shape == (ROWS, COLUMNS) and np.isfinite(values).all()
        out.add_tensor(name, raw, raw_dtype=kind)
        out.add_tensor(name + ".f32", values)
    # blocks of Q8_0: halves to either side, zeros, a scale that F16 makes zero, large, one value alone
    edges = np.zeros((ROWS, COLUMNS), dtype=np.float32)
    edges[0, :32] = np.arange(32) - 15.5
    edges[0, 31] = 127
    edges[0, 32:64] = -edges[0, :32]
    edges[0, 96:128] = rng.standard_normal(32) * 1e-9
    edges[0, 128:160] = rng.standard_normal(32) * 3e4
    edges[0, 163] = -5
    edges[1] = rng.integers(-127, 128, COLUMNS) * np.float32(0.0123)
    out.add_tensor("edges", edges)
    out.add_tensor("edges.q8_0", gguf.quants.quantize(edges, T.Q8_0), raw_dtype=T.Q8_0)
    out.add_tensor("cube", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


main(sys.argv[1])
