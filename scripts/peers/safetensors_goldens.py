#!/usr/bin/env python3
"""Writes testdata/safetensors/types.safetensors with the safetensors package (0.8, torch 2.15): brew
reads it, and must write the same tensors as the same bytes.

usage: safetensors_goldens.py testdata/safetensors/types.safetensors
"""
import sys

import torch
from safetensors.torch import save_file

values = torch.arange(-6, 6, dtype=torch.float32)
save_file(
    {
        "f32": values.reshape(3, 4),
        "bf16": values.to(torch.bfloat16).reshape(2, 2, 3),
        "f16": values.to(torch.float16),
        "f8": values.to(torch.float8_e4m3fn).reshape(4, 3),
        "i8": values.to(torch.int8)[:5].clone(),
        "i32": values.to(torch.int32),
        "i64": values.to(torch.int64).reshape(12, 1),
        "scalar": torch.tensor(2.5),
        "a.f32": values * 0.5,
        "empty": torch.zeros(0, 3),
    },
    sys.argv[1],
    metadata={"format": "pt"},
)
