#!/usr/bin/env python3
"""Writes a GGUF model as a Hugging Face directory, for comparing brew with what reads only those:
config.json, model.safetensors in bfloat16 (or --dtype), tokenizer.json where transformers can make one.

usage: gguf_to_hf.py [--dtype bfloat16|float32] MODEL.gguf DIRECTORY
Needs torch, transformers (5.x), tokenizers and gguf.
"""
import argparse
import os

import gguf
import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
parser.add_argument("gguf")
parser.add_argument("directory")
args = parser.parse_args()



def field(key):
    found = gguf.GGUFReader(args.gguf).get_field(key)
    return found.contents() if found else None


os.environ["HF_HUB_OFFLINE"] = "1"
folder, name = os.path.split(os.path.abspath(args.gguf))
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
config = model.config
if hasattr(config, "quantization_config"):  # what was read is no longer quantised
    del config.quantization_config
plain = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, args.dtype))
plain.load_state_dict(model.state_dict())
plain.save_pretrained(args.directory)
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
if field("tokenizer.ggml.pre") == "smollm":  # transformers forgets that digits stand alone
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
tokenizer.save_pretrained(args.directory)
