#!/usr/bin/env python3
"""Makes testdata/models/tiny: a random Llama with a tokenizer, for tests of whole commands; and tiny-spm, a smaller one.

The tokenizer is byte-level BPE trained on the film titles of testdata/ml-latest-small, so that " Yes" and " No" and
common words are single tokens; the weights are random (seed 1), so the scores mean nothing. That of tiny-spm is laid out
as SentencePiece's are: characters with bytes <0xNN> for those it lacks, U+2581 for blanks, and a BOS.

usage: python scripts/peers/tiny_model.py      (from the project's root; tokenizers 0.23, torch, transformers)
"""
import csv
import json
import os

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

OUT = "testdata/models/tiny"


def titles():
    with open("testdata/ml-latest-small/movies.csv", encoding="utf-8", newline="") as f:
        return [row["title"] + ": " + answer for i, row in enumerate(csv.DictReader(f))
                for answer in ("Yes", "No") if i < 4000]


def make_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=640, special_tokens=["<|endoftext|>", "<|im_start|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator(titles(), trainer)
    return tokenizer


def make_spm():
    """A tokenizer.json: the merges of a BPE over words that begin with U+2581, behind specials and bytes."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=330, show_progress=False)
    trained.train_from_iterator(titles(), trainer)
    model = json.loads(trained.to_str())["model"]
    entries = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    entries += sorted(model["vocab"], key=model["vocab"].get)
    specials = [dict(id=i, content=entries[i], single_word=False, lstrip=False, rstrip=False, normalized=False,
                     special=True) for i in range(3)]
    first = lambda sequence: [{"SpecialToken": dict(id="<s>", type_id=0)}, {"Sequence": dict(id=sequence, type_id=0)}]
    return dict(
        version="1.0", truncation=None, padding=None, added_tokens=specials,
        normalizer=dict(type="Sequence", normalizers=[
            dict(type="Prepend", prepend="\u2581"),
            dict(type="Replace", pattern=dict(String=" "), content="\u2581")]),
        pre_tokenizer=None,
        post_processor=dict(type="TemplateProcessing", single=first("A"), pair=first("A") + first("B"),
                            special_tokens={"<s>": dict(id="<s>", ids=[1], tokens=["<s>"])}),
        decoder=dict(type="Sequence", decoders=[
            dict(type="Replace", pattern=dict(String="\u2581"), content=" "), dict(type="ByteFallback"),
            dict(type="Fuse"), dict(type="Strip", content=" ", start=1, stop=0)]),
        model=dict(type="BPE", dropout=None, unk_token="<unk>", continuing_subword_prefix=None,
                   end_of_word_suffix=None, fuse_unk=True, byte_fallback=True, ignore_merges=False,
                   vocab={e: i for i, e in enumerate(entries)}, merges=model["merges"]))


def save_spm():
    out = OUT + "-spm"
    os.makedirs(out, exist_ok=True)
    tokenizer = make_spm()
    vocab = tokenizer["model"]["vocab"]
    assert "\u2581Yes" in vocab and "\u2581No" in vocab
    with open(f"{out}/tokenizer.json", "w", encoding="utf-8") as f:
        json.dump(tokenizer, f, ensure_ascii=False, separators=(",", ":"))
    decoder = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in tokenizer["added_tokens"]}
    with open(f"{out}/tokenizer_config.json", "w") as f:
        json.dump(dict(tokenizer_class="PreTrainedTokenizerFast", add_bos_token=True, bos_token="<s>",
                       eos_token="</s>", unk_token="<unk>", added_tokens_decoder=decoder), f, indent=1)
        f.write("\n")
    torch.manual_seed(2)
    config = LlamaConfig(vocab_size=len(vocab), hidden_size=32, intermediate_size=40, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024,
                         tie_word_embeddings=False, initializer_range=0.2, bos_token_id=1, eos_token_id=[2, 300])
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(out)


def main():
    save_spm()
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
