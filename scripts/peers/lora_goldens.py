#!/usr/bin/env python3
"""Gradients of adapters of low rank, as PEFT and PyTorch compute them.

    python3 scripts/peers/lora_goldens.py [testdata/models] [testdata/train]

Writes lora.json: for each of MODELS the loss and the gradients of A and B of every product, over the first
requests of train_goldens.py, whose summaries they are. A and B are drawn by lib/base/rng.h, so that the test
draws them again: the numbers of the factors, as listed here, are the streams.
"""
import json
import os
import sys

import numpy as np
import torch
from peft import LoraConfig, get_peft_model

import train_goldens as base

MODELS = ["qwen2", "llama-bias", "qwen3"]
RANK, ALPHA, SIZE, SEED = 3, 5.0, 0.25, 11
TARGETS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
           "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]


def uniform(stream, n):
    """brew_rand_unit(SEED, stream, 0..n)."""
    gold = np.uint64(0x9e3779b97f4a7c15)
    with np.errstate(over="ignore"):
        key = base.mix64(np.array([SEED], dtype=np.uint64) + gold) ^ base.mix64(~np.array([stream], dtype=np.uint64))
        bits = base.mix64(base.mix64(key + (np.arange(n, dtype=np.uint64) + np.uint64(1)) * gold) ^ key)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def golden(folder, requests):
    model = base.load(folder)
    layers = model.config.num_hidden_layers
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=[t.split(".")[1] for t in TARGETS], lora_dropout=0.0)
    model = get_peft_model(model, config, autocast_adapter_dtype=False).eval()
    parameters = dict(model.named_parameters())
    names = [f"base_model.model.model.layers.{l}.{t}.lora_{f}" for l in range(layers) for t in TARGETS for f in "AB"]
    for stream, name in enumerate(names):
        p = parameters[name + ".default.weight"]
        values = (SIZE * (2 * uniform(stream, p.numel()) - 1)).astype(np.float32)
        p.data = torch.from_numpy(values).reshape(p.shape)
    loss = base.accumulate(model, requests[:base.GRADIENT_REQUESTS], "history")
    return dict(loss=loss, tensors={n + ".weight": base.summary(parameters[n + ".default.weight"].grad) for n in names})


def main():
    models = sys.argv[1] if len(sys.argv) > 1 else "testdata/models"
    out = sys.argv[2] if len(sys.argv) > 2 else "testdata/train"
    torch.set_num_threads(1)
    requests = base.make_requests()
    goldens = dict(rank=RANK, alpha=ALPHA, size=SIZE, seed=SEED,
                   models={name: golden(os.path.join(models, name), requests) for name in MODELS})
    with open(os.path.join(out, "lora.json"), "w") as file:
        json.dump(goldens, file, separators=(",", ":"))
        file.write("\n")
    print({name: g["loss"] for name, g in goldens["models"].items()})


if __name__ == "__main__":
    main()
