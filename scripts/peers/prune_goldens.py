#!/usr/bin/env python3
"""Models cut by brew-prune, loaded by transformers, and what it makes of them.

    python3 scripts/peers/prune_goldens.py [BREW_PRUNE [testdata]]

For each model of testdata/models below: brew-prune (build/bin/brew-prune) cuts layers, heads and neurons with the
requests of its golden.json as calibration (`--kernel ref --precision f32`, so that every machine chooses
alike), transformers loads the result in float32 with eager attention, and runs query + item as one
plain sequence. testdata/prune/NAME.json then holds the requests with these answers, as golden.json does, and "options", the
shares that were asked for. lib/shrink/prune_test.c cuts the same and compares.
"""
import json
import os
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM

from model_goldens import golden_request

# layer removed (-1: none), kept shares of heads and neurons, multiple of neurons, importance
CUTS = {
    "llama-scaled": (1, 0.5, 0.7, 4, "activation"),
    "llama-tied": (-1, 0.5, 0.6, 1, "activation"),
    "llama-bias": (0, 0.5, 0.5, 8, "taylor"),
    "qwen2": (0, 0.67, 0.8, 8, "activation"),
    "qwen3": (1, 0.5, 0.7, 1, "taylor"),
    "mistral": (2, 0.67, 0.6, 8, "activation"),
}


def calibration(requests):
    """Prompt records of ids, with the targets that lib/shrink/prune_test.c sets: 0, 1, 2, 0, ..."""
    lines, answers = [], 0
    for r in requests:
        targets = [(answers + i) % 3 for i in range(len(r["items"]))]
        answers += len(r["items"]) + len(r["history"])
        lines.append(json.dumps(dict(query=r["query"], items=r["items"], label_token_ids=r["labels"],
                                     targets=targets)))
    return "\n".join(lines) + "\n"


def main():
    prune = sys.argv[1] if len(sys.argv) > 1 else "build/bin/brew-prune"
    root = sys.argv[2] if len(sys.argv) > 2 else "testdata"
    torch.set_num_threads(1)
    os.makedirs(os.path.join(root, "prune"), exist_ok=True)
    for name, (layer, heads, mlp, multiple, importance) in CUTS.items():
        source = os.path.join(root, "models", name)
        with open(os.path.join(source, "golden.json")) as file:
            requests = json.load(file)["requests"]
        with tempfile.TemporaryDirectory() as work:
            small = os.path.join(work, "small")
            subprocess.run(
                [prune, "-q", "--kernel", "ref", "--precision", "f32", "-m", source, "-o", small,
                 "--heads", str(heads), "--mlp", str(mlp), "--multiple", str(multiple),
                 "--importance", importance, "-"]
                + (["--layers", str(layer)] if layer >= 0 else []),
                input=calibration(requests), text=True, check=True)
            model, loading = AutoModelForCausalLM.from_pretrained(
                small, attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
            wrong = {k: v for k, v in loading.items() if v}
            if wrong:
                raise SystemExit(f"{name}: {wrong}")
            config, model = model.config, model.eval()
            rows = [golden_request(model, r["query"], r["items"], [h["row"] for h in r["history"]], r["labels"])
                    for r in requests]
        options = dict(layer=layer, heads=heads, mlp=mlp, multiple=multiple, importance=importance)
        shape = dict(layers=config.num_hidden_layers, heads=config.num_attention_heads,
                     kv_heads=config.num_key_value_heads, mlp=config.intermediate_size)
        with open(os.path.join(root, "prune", name + ".json"), "w") as out:
            out.write('{"options":' + json.dumps(options) + ',\n"shape":' + json.dumps(shape) + ',\n"requests":[\n')
            out.write(",\n".join(json.dumps(r, separators=(",", ":")) for r in rows))
            out.write("\n]}\n")
        print(name, shape)


if __name__ == "__main__":
    main()
