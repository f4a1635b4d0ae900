#!/usr/bin/env python3
"""Quantised models as compressed-tensors writes them, and what transformers makes of them.

    python3 scripts/peers/quantised_goldens.py [testdata/models]

Of testdata/models/NAME (float32, from model_goldens.py) this writes NAME-fp8 and NAME-int8: weights,
scales and configuration by compressed-tensors itself (FP8_DYNAMIC and W8A8 with dynamic activations,
lm_head left alone), and golden.json in model_goldens.py's form by transformers, which rounds the
activations on the CPU as the library defines it.
"""
import os
import sys

import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import (QuantizationConfig, QuantizationStatus,
                                             apply_quantization_config, preset_name_to_scheme)
from compressed_tensors.quantization.utils import calculate_qparams
from transformers import AutoModelForCausalLM

from model_goldens import write_golden

MODELS = ["llama-scaled", "qwen3"]
SCHEMES = {"fp8": ("FP8_DYNAMIC", "float-quantized"), "int8": ("W8A8", "int-quantized")}


def quantise(source, target, preset, form):
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    scheme = preset_name_to_scheme(preset, ["Linear"])
    config = QuantizationConfig(config_groups={"group_0": scheme}, ignore=["lm_head"], format=form,
                                quantization_status=QuantizationStatus.FROZEN)
    apply_quantization_config(model, config)
    for module in model.modules():
        if getattr(module, "quantization_scheme", None) is None:
            continue
        low, high = module.weight.amin(1, keepdim=True), module.weight.amax(1, keepdim=True)
        scale, zero = calculate_qparams(low, high, module.quantization_scheme.weights)
        module.weight_scale.data.copy_(scale)
        module.quantization_status = QuantizationStatus.FROZEN
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(target)
    compressor.update_config(target)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "testdata/models"
    for name in MODELS:
        for tail, (preset, form) in SCHEMES.items():
            target = os.path.join(root, f"{name}-{tail}")
            quantise(os.path.join(root, name), target, preset, form)
            model = AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32,
                                                         attn_implementation="eager")
            write_golden(model.eval(), target, model.config.vocab_size, torch.Generator().manual_seed(7))


if __name__ == "__main__":
    main()
