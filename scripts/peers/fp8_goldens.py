#!/usr/bin/env python3
"""What ml_dtypes makes of E4M3: testdata/fp8/codes.bin holds the code of every bf16 value (65,536
bytes, by the bf16's bits), testdata/fp8/values.bin the value of every code (256 F32, little-endian).
ml_dtypes gives NaN beyond the range, where weights are saturated: those codes are +-448's here."""
import numpy as np
from ml_dtypes import bfloat16, float8_e4m3fn

every = np.arange(65536, dtype=np.uint16).view(bfloat16).astype(np.float32)
clipped = np.where(np.isnan(every), every, np.clip(every, -448, 448))
clipped.astype(float8_e4m3fn).tofile("testdata/fp8/codes.bin")
np.arange(256, dtype=np.uint8).view(float8_e4m3fn).astype("<f4").tofile("testdata/fp8/values.bin")
