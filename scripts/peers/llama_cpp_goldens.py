#!/usr/bin/env python3
"""What llama.cpp makes of the GGUF files that brew-quantize writes (llama-cpp-python 0.3).

    python3 scripts/peers/llama_cpp_goldens.py [testdata/gguf] [build/bin]

For each case brew-quantize writes a model of testdata/models as GGUF and llama.cpp runs query + item as one plain
sequence, with keys and values in F32. llama_cpp.jsonl has a line for each case: model, scheme, and the
probabilities of each item's labels among themselves; llama_cpp.requests.jsonl the requests, prompt records of
ids. cmd/brew-quantize.t writes the same files and compares brew-score's probabilities. llama.cpp rounds the left sides
of products to the type of the weights, and heeds no window: Mistral's requests are shorter than that.

Then, printed only: ids. Texts of all kinds through llama.cpp's tokenizer, loaded from GGUF files made of
testdata/tokenizers/*.json.xz around a model of random weights, against tokenizers' ids of the same file. Known: in
Qwen's, four of 600 texts hold "</s>", an ordinary entry there that llama.cpp takes for a special token by its look.
"""
import json
import lzma
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

import llama_cpp
import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

import tokenizer_goldens as texts

IDS = 53  # all of the models have as many
CASES = [("llama-scaled", "f32"), ("llama-tied", "f32"), ("llama-bias", "f32"), ("qwen3", "f32"), ("mistral", "f32"),
         ("tiny", "f16"), ("tiny", "bf16"), ("llama-blocks", "q8_0")]


def draw_requests(path):
    draw = random.Random(11)
    ids = lambda n: [draw.randrange(IDS) for _ in range(n)]
    with open(path, "w") as out:
        for query, items in [(4, [3, 1]), (0, [4, 2]), (30, [3, 1, 8]), (60, [12, 4])]:
            record = dict(query_ids=ids(query), items_ids=[ids(n) for n in items], label_ids=draw.sample(range(IDS), 3))
            out.write(json.dumps(record, separators=(",", ":")) + "\n")


def open_model(path, **options):
    return llama_cpp.Llama(path, n_ctx=256, n_batch=256, n_threads=1, verbose=False, **options)


def probabilities(model, record):
    out = []
    for item in record["items_ids"]:
        ids = record["query_ids"] + item
        model.reset()
        model.eval(ids)
        z = np.array(model.scores[len(ids) - 1], dtype=np.float64)[record["label_ids"]]
        p = np.exp(z - z.max())
        out.append((p / p.sum()).tolist())
    return out


def write(tool, source, target, scheme):
    subprocess.run([tool, "-q", "-m", source, "-o", target, "--scheme", scheme], check=True)


def compare_ids(tool, name, work):
    """The share of texts with other ids, and how many there were."""
    folder = os.path.join(work, name)
    with lzma.open(f"testdata/tokenizers/{name}.json.xz", "rt", encoding="utf-8") as source:
        root = json.load(source)
    tokenizer = Tokenizer.from_str(json.dumps(root))
    config = LlamaConfig(vocab_size=tokenizer.get_vocab_size() + 64, hidden_size=32, intermediate_size=32,
                         num_hidden_layers=1, num_attention_heads=1, max_position_embeddings=64)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as out:
        json.dump(root, out)
    write(tool, folder, folder + ".gguf", "bf16")
    model = open_model(folder + ".gguf", vocab_only=True)
    other = count = 0
    for kind in texts.KINDS:
        for i in range(200):
            text = texts.KINDS[kind](i)
            if name == "qwen3":  # its tokenizer brings text into this form, llama.cpp does not
                text = unicodedata.normalize("NFC", text)
            want = tokenizer.encode(text, add_special_tokens=False).ids
            other += want != model.tokenize(text.encode(), add_bos=False, special=True)
            count += 1
    return other, count


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "testdata/gguf"
    tool = os.path.join(sys.argv[2] if len(sys.argv) > 2 else "build/bin", "brew-quantize")
    requests = os.path.join(folder, "llama_cpp.requests.jsonl")
    draw_requests(requests)
    records = [json.loads(line) for line in open(requests)]
    with open(os.path.join(folder, "llama_cpp.jsonl"), "w") as out, tempfile.TemporaryDirectory() as work:
        for name, scheme in CASES:
            path = os.path.join(work, f"{name}.{scheme}.gguf")
            write(tool, f"testdata/models/{name}", path, scheme)
            model = open_model(path, logits_all=True, type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32)
            scores = [probabilities(model, record) for record in (records[:2] if name == "mistral" else records)]
            out.write(json.dumps(dict(model=name, scheme=scheme, scores=scores), separators=(",", ":")) + "\n")
        for name in "llama", "qwen3", "smollm2":
            print("%s: %d of %d texts have other ids" % (name, *compare_ids(tool, name, work)))


if __name__ == "__main__":
    main()
