#!/usr/bin/env python3
"""Makes testdata/models/tiny: a random Llama with a tokenizer, for tests of whole commands.

The tokenizer is byte-level BPE trained on the film titles of testdata/ml-latest-small, so that " Yes" and " No" and
common words are single tokens; the weights are random (seed 1), so the scores mean nothing.

usage: python scripts/peers/tiny_model.py      (from the project's root; tokenizers 0.23, torch, transformers)
"""
import csv
import json
import os

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

OUT = "testdata/models/tiny"


def make_tokenizer():
    with open("testdata/ml-latest-small/movies.csv", encoding="utf-8", newline="") as f:
        lines = [row["title"] + ": " + answer for i, row in enumerate(csv.DictReader(f))
                 for answer in ("Yes", "No") if i < 4000]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=640, special_tokens=["<|endoftext|>", "<|im_start|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def main():
    os.makedirs(OUT, exist_ok=True)
    tokenizer = make_tokenizer()
    for label in (" Yes", " No"):
        assert len(tokenizer.encode(label).ids) == 1, label
    tokenizer.save(f"{OUT}/tokenizer.json", pretty=False)
    with open(f"{OUT}/tokenizer_config.json", "w") as f:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}, f, indent=1)
        f.write("\n")
    torch.manual_seed(1)
    config = LlamaConfig(vocab_size=tokenizer.get_vocab_size(), hidden_size=48, intermediate_size=96,
                         num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
                         max_position_embeddings=2048, tie_word_embeddings=True, initializer_range=0.2)
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(OUT)
    os.remove(f"{OUT}/generation_config.json")


if __name__ == "__main__":
    main()
