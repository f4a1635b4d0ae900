#!/usr/bin/env python3
"""Small random models of every family, and what transformers makes of them.

    python3 scripts/peers/model_goldens.py [testdata/models]

Writes testdata/models/NAME/ with config.json, safetensors and golden.json. A golden is made by running
query + item as one plain sequence through transformers in float32 with eager attention, one item at
a time: nothing in it knows what a star is. Each answer holds, for its label ids, the log-probability among
the labels ("label_logprobs") and in the whole vocabulary ("logprobs"). Three of the models are also written
as NAME.gguf, the way llama.cpp's converter does: the same goldens hold for them.

Weights are drawn much wider than an initialiser would, so that attention, norms and positions all show
in the logits. Config files come with old keys (rope_theta, rope_scaling, torch_dtype) and new ones.
"""
import json
import math
import os
import sys

import gguf
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoConfig

MODELS = {
    # llama3 frequency scaling, grouped heads, old keys
    "llama-scaled": dict(
        model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=101, hidden_size=48,
        intermediate_size=100, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2,
        max_position_embeddings=512, rms_norm_eps=1e-5, rope_theta=500.0, tie_word_embeddings=False,
        rope_scaling=dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                          original_max_position_embeddings=64),
        hidden_act="silu", attention_bias=False, mlp_bias=False, torch_dtype="float32"),
    # tied head, one kv head per head, odd sizes, bf16 in two shards
    "llama-tied": dict(
        model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=67, hidden_size=40,
        intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=256,
        rms_norm_eps=1e-6, rope_theta=10000.0, rope_scaling=None, tie_word_embeddings=True,
        hidden_act="silu", torch_dtype="bfloat16"),
    # biases on q, k, v and o, F16
    "llama-bias": dict(
        model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=53, hidden_size=32,
        intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=256, rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_parameters=dict(rope_type="default", rope_theta=2000.0),
        hidden_act="silu", attention_bias=True, dtype="float16"),
    # biases on q, k, v; the window in the upper layers only
    "qwen2": dict(
        model_type="qwen2", architectures=["Qwen2ForCausalLM"], vocab_size=131, hidden_size=48,
        intermediate_size=72, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1,
        max_position_embeddings=512, rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=True,
        use_sliding_window=True, sliding_window=7, max_window_layers=1, hidden_act="silu",
        torch_dtype="float32"),
    # norms on q and k, heads wider than the width says, new keys
    "qwen3": dict(
        model_type="qwen3", architectures=["Qwen3ForCausalLM"], vocab_size=97, hidden_size=40,
        intermediate_size=65, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        head_dim=24, max_position_embeddings=512, rms_norm_eps=1e-6, tie_word_embeddings=False,
        rope_parameters=dict(rope_type="default", rope_theta=1000000.0),
        attention_bias=False, use_sliding_window=False, sliding_window=None, max_window_layers=3,
        layer_types=["full_attention"] * 3, hidden_act="silu", dtype="float32"),
    # a window shorter than the prompt in every layer, explicit head_dim
    "mistral": dict(
        model_type="mistral", architectures=["MistralForCausalLM"], vocab_size=89, hidden_size=32,
        intermediate_size=56, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1,
        head_dim=16, max_position_embeddings=1024, rms_norm_eps=1e-5, rope_theta=10000.0,
        sliding_window=9, tie_word_embeddings=False, hidden_act="silu", torch_dtype="float32"),
    # all rows are blocks of 32
    "llama-blocks": dict(
        model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=61, hidden_size=32,
        intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        max_position_embeddings=256, rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=True,
        hidden_act="silu", torch_dtype="bfloat16"),
}
GGUF = ["llama-scaled", "qwen3", "mistral"]
SHARDS = {"llama-tied": 2}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# (query length, item lengths, rows of the query that are read, too)
REQUESTS = [
    (11, [1, 3, 9], [0, 5, 10]),
    (0, [5, 1, 17], []),
    (1, [1], [0]),
    (130, [20, 66, 2], [63, 64, 129]),
    (64, [64, 1], []),
]


def draw(model, generator):
    """Fills every parameter: wide matrices, uneven gains, biases that matter."""
    for name, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape, generator=generator)
        if "norm" in name:
            value = 1 + 0.3 * noise
        elif p.dim() == 1:
            value = 0.5 * noise
        elif "embed" in name:
            value = 0.5 * noise
        else:
            value = noise * 1.4 / p.shape[1] ** 0.5
        with torch.no_grad():
            p.copy_(value)


def save(model, config, dtype, folder, shards):
    tensors = {n: t.detach().to(dtype).contiguous() for n, t in model.state_dict().items()}
    if config["tie_word_embeddings"]:
        tensors.pop("lm_head.weight", None)
    names = sorted(tensors)
    if shards == 1:
        save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
        return tensors
    weight_map = {}
    for i in range(shards):
        part = names[i::shards]
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        save_file({n: tensors[n] for n in part}, os.path.join(folder, file), metadata={"format": "pt"})
        weight_map.update({n: file for n in part})
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as out:
        json.dump({"metadata": {"total_size": size}, "weight_map": dict(sorted(weight_map.items()))}, out)
        out.write("\n")
    return tensors


GGUF_NAMES = [
    ("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output"),
    ("model.layers", "blk"), ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"), ("self_attn.o_proj", "attn_output"), ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"), ("post_attention_layernorm", "ffn_norm"),
    ("input_layernorm", "attn_norm"), ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
]


def freq_factors(config, head_dim):
    """llama3 scaling as divisors of the frequencies."""
    rope = config["rope_scaling"]
    factors = []
    for i in range(0, head_dim, 2):
        wavelength = 2 * math.pi * config["rope_theta"] ** (i / head_dim)
        turns = rope["original_max_position_embeddings"] / wavelength
        low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
        smooth = min(max((turns - low) / (high - low), 0), 1)
        factors.append(1 / ((1 - smooth) / factor + smooth))
    return torch.tensor(factors, dtype=torch.float32)


def save_gguf(tensors, config, path):
    """As llama.cpp's converter: Mistral becomes llama, whose q and k rows pair up their rotary halves."""
    arch = "llama" if config["model_type"] == "mistral" else config["model_type"]
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    out = gguf.GGUFWriter(path, arch)
    out.add_vocab_size(config["vocab_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(heads)
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_rope_freq_base((config.get("rope_parameters") or config)["rope_theta"])
    out.add_rope_dimension_count(head_dim)
    if config.get("head_dim"):
        out.add_key_length(head_dim)
        out.add_value_length(head_dim)
    if config.get("sliding_window"):
        out.add_sliding_window(config["sliding_window"])
    if config.get("rope_scaling"):
        out.add_tensor("rope_freqs.weight", freq_factors(config, head_dim).numpy())
    for name, t in sorted(tensors.items()):
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            t = t.reshape(-1, 2, head_dim // 2, t.shape[1]).swapaxes(1, 2).reshape(t.shape)
        for theirs, ours in GGUF_NAMES:
            name = name.replace(theirs, ours)
        out.add_tensor(name, t.contiguous().numpy())
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def answer(logits, labels):
    """The two kinds of log-probability of the labels, from one row of float32 logits, in double."""
    z = logits.double()
    label = z[labels]
    return dict(label_logprobs=(label - label.logsumexp(0)).tolist(),
                logprobs=(label - z.logsumexp(0)).tolist())


def golden_request(model, query, items, history, labels):
    with torch.no_grad():
        read = lambda ids: model(torch.tensor([ids])).logits[0]
        answers = [answer(read(query + item)[-1], labels) for item in items]
        rows = read(query) if history else None
        seen = [dict(row=row, **answer(rows[row], labels)) for row in history]
    return dict(query=query, items=items, labels=labels, answers=answers, history=seen)


def write_golden(model, folder, vocab, generator):
    """golden.json: requests of all kinds, drawn, and the model's answers. Returns the requests."""
    pick = lambda n: torch.randint(vocab, (n,), generator=generator).tolist()
    requests = []
    for query_len, item_lens, history in REQUESTS:
        labels = torch.randperm(vocab, generator=generator)[:3].tolist()
        requests.append(golden_request(model, pick(query_len), [pick(n) for n in item_lens],
                                       history, labels))
    with open(os.path.join(folder, "golden.json"), "w") as out:
        out.write('{"requests":[\n')
        out.write(",\n".join(json.dumps(r, separators=(",", ":")) for r in requests))
        out.write("\n]}\n")
    return requests


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "testdata/models"
    torch.set_num_threads(1)
    for seed, (name, config) in enumerate(MODELS.items()):
        folder = os.path.join(root, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "config.json"), "w") as out:
            json.dump(config, out, indent=1)
            out.write("\n")
        generator = torch.Generator().manual_seed(1000 + seed)
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder),
                                                 attn_implementation="eager", dtype=torch.float32)
        draw(model, generator)
        dtype = DTYPES[config.get("dtype") or config["torch_dtype"]]
        tensors = save(model, config, dtype, folder, SHARDS.get(name, 1))
        if name in GGUF:
            save_gguf(tensors, config, folder + ".gguf")
        # read back what was stored: the golden is of the stored weights
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager",
                                                     dtype=torch.float32).eval()
        requests = write_golden(model, folder, config["vocab_size"], generator)
        spread = max(max(a["logprobs"]) - min(a["logprobs"]) for r in requests for a in r["answers"])
        size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
        print(f"{name}: {size} bytes, widest spread of log-probabilities {spread:.2f}")


if __name__ == "__main__":
    main()
