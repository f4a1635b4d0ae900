#!/usr/bin/env python3
"""Makes testdata/tokenizers: reference tokenizers, and digests of the ids tokenizers 0.23 gives.

usage: scripts/peers/tokenizer_goldens.py files QWEN3_DIR SMOLLM2.gguf    the tokenizer files
       scripts/peers/tokenizer_goldens.py goldens [NAME...]              goldens.tsv from them
(needs tokenizers 0.23, gguf, transformers; QWEN3_DIR holds Qwen3's tokenizer.json)

The texts are drawn by a counter-based generator that lib/text/token/tokenizer_golden_test.c has, too. A line
of goldens.tsv: tokenizer, kind of text, number of the chunk (1,000 texts), and three digests: of the
ids (special tokens recognised), of the ids with special tokens as plain text, of the decoded ids.
"""
import copy
import hashlib
import json
import lzma
import os
import struct
import sys

from tokenizers import Tokenizer

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "testdata")
OUT = os.path.join(HERE, "tokenizers")
MASK = (1 << 64) - 1
CHUNK = 1000


# ---- Texts (the same in C)

def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Draw:
    def __init__(self, stream):
        self.key = mix((1 + 0x9E3779B97F4A7C15) & MASK) ^ mix(~stream & MASK)
        self.index = 0

    def below(self, n):
        self.index += 1
        z = mix((self.key + self.index * 0x9E3779B97F4A7C15) & MASK) ^ self.key
        return mix(z) * n >> 64


with open(os.path.join(OUT, "texts.json"), encoding="utf-8") as f:
    POOLS = json.load(f)


def element(draw, pool, before):
    if pool == 0:
        c = draw.below(0x110000 - 0x800)
        return chr(c + 0x800 if c >= 0xD800 else c)
    if pool == 1:
        return chr(draw.below(0x3000))
    if pool == 2:
        return chr(0x20 + draw.below(95))
    if pool == 3:
        return POOLS["snippets"][draw.below(len(POOLS["snippets"]))]
    if pool == 4:
        return POOLS["words"][draw.below(len(POOLS["words"]))]
    if pool == 5:
        low, n = POOLS["marks"][draw.below(len(POOLS["marks"]))]
        return chr(low + draw.below(n))
    if pool == 6:
        return chr(0x4E00 + draw.below(0x5200))
    return before * (1 + draw.below(6))


def random_text(i):
    draw = Draw(i)
    n, main, out, last = 1 + draw.below(24), draw.below(8), [], ""
    for _ in range(n):
        pool = main if draw.below(4) else draw.below(8)
        last = element(draw, pool, last)[:64]
        out.append(last)
    return "".join(out)


def sweep_text(i):  # every code point before and behind other classes
    out = []
    for c in range(i * 128, (i + 1) * 128):
        if not 0xD800 <= c < 0xE000:
            out.append("%sa %s1\u00e9  %s" % (chr(c), chr(c), chr(c)))
    return "".join(out)


def runs_text(i):  # runs of 1..300 equal elements
    return POOLS["runs"][i // 300] * (i % 300 + 1)


KINDS = {"random": random_text, "sweep": sweep_text, "runs": runs_text}
COUNTS = {"sweep": 0x110000 // 128, "runs": 300 * len(POOLS["runs"])}


# ---- Digests

def digest_ids(encodings):
    sha = hashlib.sha256()
    for e in encodings:
        sha.update(struct.pack("<%di" % (len(e.ids) + 1), *e.ids, -1))
    return sha.hexdigest()[:16]


def digest_texts(texts):
    sha = hashlib.sha256()
    for t in texts:
        sha.update(t.encode("utf-8") + b"\xff")
    return sha.hexdigest()[:16]


def lines_of(name, tok, kind, count):
    for chunk in range((count + CHUNK - 1) // CHUNK):
        texts = [KINDS[kind](i) for i in range(chunk * CHUNK, min(count, (chunk + 1) * CHUNK))]
        tok.encode_special_tokens = False
        known = tok.encode_batch(texts, add_special_tokens=False)
        back = tok.decode_batch([e.ids for e in known], skip_special_tokens=False)
        tok.encode_special_tokens = True
        plain = tok.encode_batch(texts, add_special_tokens=False)
        yield "\t".join((name, kind, str(chunk), digest_ids(known), digest_ids(plain),
                         digest_texts(back)))


# ---- Tokenizer files

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def gguf_fields(path):
    from gguf import GGUFReader
    out = {}
    for key, field in GGUFReader(path).fields.items():
        if key.startswith("tokenizer.ggml."):
            out[key.split(".", 2)[2]] = field.contents()
    return out


def tokenizer_of(tokens, merges, types, **parts):
    added = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": types[i] != 4}
             for i, t in enumerate(tokens) if types[i] in (2, 3, 4)]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
             "ignore_merges": False}
    model.update(parts.pop("model", {}))
    model["vocab"] = {t: i for i, t in enumerate(tokens)}
    model["merges"] = [list(m) for m in merges]
    root = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
    root.update(parts)
    root["model"] = model
    return root


def byte_level_of(path, pre):
    f = gguf_fields(path)
    return tokenizer_of(f["tokens"], [m.split(" ") for m in f["merges"]], f["token_type"],
                        pre_tokenizer=pre, decoder=BYTE_LEVEL)


def llama_of(path):
    from transformers.convert_slow_tokenizer import generate_merges
    f = gguf_fields(path)
    merges = generate_merges({t: i for i, t in enumerate(f["tokens"])},
                             dict(zip(f["tokens"], f["scores"])))
    return tokenizer_of(
        f["tokens"], merges, f["token_type"],
        model={"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True},
        normalizer={"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        decoder={"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


DIGITS = {"type": "Digits", "individual_digits": True}
BYTES_ONLY = dict(BYTE_LEVEL, use_regex=False)
DEEPSEEK_CODER = sequence(split("[\r\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"),
                          split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"), DIGITS, BYTES_ONLY)


def write_xz(name, root):
    text = json.dumps(root, ensure_ascii=False, separators=(",", ":"))
    with open(os.path.join(OUT, name), "wb") as out:
        out.write(lzma.compress(text.encode("utf-8"), preset=9 | lzma.PRESET_EXTREME))


def make_files(qwen3_dir, smollm2):
    with open(os.path.join(qwen3_dir, "tokenizer.json"), encoding="utf-8") as src:
        write_xz("qwen3.json.xz", json.load(src))
    write_xz("smollm2.json.xz", byte_level_of(smollm2, sequence(DIGITS, BYTE_LEVEL)))
    write_xz("llama.json.xz", llama_of(os.path.join(HERE, "vocab", "ggml-vocab-llama-spm.gguf")))


# ---- Goldens

def apply_variant(root, changes):
    root = copy.deepcopy(root)
    for key, value in changes.items():
        if key.startswith("model."):
            root["model"][key[6:]] = value
        elif key == "added_tokens+":
            root["added_tokens"] = root["added_tokens"] + value
        else:
            root[key] = value
    return root


def load(name):
    if name == "gpt-2":
        return byte_level_of(os.path.join(HERE, "vocab", "ggml-vocab-gpt-2.gguf"), BYTE_LEVEL)
    if name == "deepseek-coder":
        return byte_level_of(os.path.join(HERE, "vocab", "ggml-vocab-deepseek-coder.gguf"),
                             DEEPSEEK_CODER)
    with lzma.open(os.path.join(OUT, name + ".json.xz"), "rt", encoding="utf-8") as src:
        return json.load(src)


def main(args):
    if args[:1] == ["files"] and len(args) == 3:
        return make_files(args[1], args[2])
    if args[:1] != ["goldens"]:
        sys.exit(__doc__)
    with open(os.path.join(OUT, "variants.json"), encoding="utf-8") as src:
        variants = json.load(src)
    for v in variants:
        if len(args) > 1 and v["name"] not in args[1:]:
            continue
        root = apply_variant(load(v["base"]), v["set"])
        tok = Tokenizer.from_str(json.dumps(root))
        for kind in KINDS:
            count = v["random"] if kind == "random" else COUNTS[kind] if v["all"] else 0
            for line in lines_of(v["name"], tok, kind, count):
                print(line, flush=True)
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
