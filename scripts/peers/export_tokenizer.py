#!/usr/bin/env python3
"""Compares the tokenizer of a directory that Brew made from a GGUF file, as transformers reads it, with
brew-tokenize on the GGUF file itself.

usage: export_tokenizer.py MODEL.gguf DIRECTORY [TEXT...]    TEXT: files, a text a line
Needs transformers and tokenizers; brew-tokenize is taken from build/bin. Prints how many texts were compared
and leaves with status 1 at the first that differs.
"""
import json
import os
import subprocess
import sys

from transformers import AutoConfig, AutoTokenizer

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TEXTS = [os.path.join(HERE, "testdata", "ml-latest-small", "movies.csv"),
         os.path.join(HERE, "testdata", "vocab", "ggml-vocab-qwen2.gguf.inp")]


def main():
    gguf, directory = sys.argv[1:3]
    texts = []
    for name in sys.argv[3:] or TEXTS:
        with open(name, encoding="utf-8", newline="\n") as f:
            texts += [line.rstrip("\n") for line in f]
    with open(os.path.join(HERE, "testdata", "tokenizers", "texts.json"), encoding="utf-8") as f:
        pools = json.load(f)
    texts += pools["snippets"] + pools["words"]
    tokenizer = AutoTokenizer.from_pretrained(directory)
    assert AutoConfig.from_pretrained(directory).vocab_size >= len(tokenizer), "more ids than rows"
    for bos in (False, True):
        # brew puts BOS before queries, where the tokenizer's template does
        records = "".join(json.dumps({"query": t, "items": [], "label_token_ids": [1]} if bos else {"text": t}) + "\n"
                          for t in texts)
        out = subprocess.run([os.path.join(HERE, "build", "bin", "brew-tokenize"), "-m", gguf, "--to", "jsonl"] +
                             ["--specials"] * bos, input=records.encode(), stdout=subprocess.PIPE, check=True).stdout
        for text, line in zip(texts, out.splitlines(), strict=True):
            ours = json.loads(line)["query_ids" if bos else "ids"]
            theirs = tokenizer(text, add_special_tokens=bos)["input_ids"]
            if ours != theirs:
                sys.exit(f"BOS {bos}: {text!r}: {ours} is not {theirs}")
            if not bos and tokenizer.decode(ours) != tokenizer.backend_tokenizer.decode(ours, skip_special_tokens=False):
                sys.exit(f"decoded otherwise: {text!r}")
    print(f"{len(texts)} texts, with and without BOS: the same ids")


main()
