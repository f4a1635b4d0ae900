#!/usr/bin/env python3
"""Loads a directory that brew-train or brew-distill wrote in transformers, and compares with brew-score.

usage: trained_model.py DIR PROMPTS.jsonl SCORES.jsonl [ADAPTER]
SCORES are those of brew-score -m DIR --precision f32 PROMPTS. With ADAPTER, a directory that --lora wrote,
DIR is its base, PEFT puts the two together, and SCORES are those of the model that --merge wrote. Exit status 1 if a probability differs by
more than 1e-4; one line says how far they are apart.
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, prompts, scores = sys.argv[1:4]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
if len(sys.argv) > 4:
    from peft import PeftModel

    model = PeftModel.from_pretrained(model, sys.argv[4])
    left = [name for name, value in model.named_parameters() if "lora_B" in name and not value.any()]
    assert not left, f"not loaded: {left}"

def ids(piece):
    return tokenizer(piece, add_special_tokens=False)["input_ids"] if isinstance(piece, str) else piece


worst = items = 0
for line, scored in zip(open(prompts), open(scores)):
    record, scored = json.loads(line), json.loads(scored)
    labels = record.get("label_token_ids") or [ids(label)[0] for label in record["label_tokens"]]
    for item, got in zip(record["items"], scored["scores"]):
        tokens = torch.tensor([ids(record["query"]) + ids(item)])
        with torch.no_grad():
            logits = model(input_ids=tokens).logits[0, -1, labels].double()
        want = torch.softmax(logits, 0).tolist()
        worst = max([worst] + [abs(a - b) for a, b in zip(want, got)])
        items += 1
print(f"{items} items, probabilities within {worst:.2g} of those of transformers")
sys.exit(worst > 1e-4)
