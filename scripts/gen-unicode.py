#!/usr/bin/env python3
"""Writes lib/text/token/unicode_tables.c, asking Hugging Face's tokenizers 0.23 about every code point.

The library is asked, not the Unicode Character Database, because "the same ids" means its tables:
general categories and white space as its regular expressions see them (Oniguruma), numbers as its
Digits step does (Rust), word characters as single_word tokens do (the regex crate), and NFC as its
normaliser does (tables of an older Unicode). Python's unicodedata only proposes candidates.

usage: scripts/gen-unicode.py > lib/text/token/unicode_tables.c      (needs tokenizers 0.23)
"""
import sys
import unicodedata
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

CATEGORIES = ("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp "
              "Cc Cf Cs Co Cn").split()
SPACE_CONTROL = 30  # a control character that is white space: a category of our own
NFC_FLAG, WORD_FLAG, NUMERIC_FLAG = 32, 64, 128
LAST = 0x110000

POINTS = [c for c in range(LAST) if not 0xD800 <= c < 0xE000]
CHUNKS = [POINTS[i:i + 8192] for i in range(0, len(POINTS), 8192)]


def matched(pre):
    """The code points which a splitter (matches kept, all else removed) keeps."""
    found = []
    for chunk in CHUNKS:
        for _, (a, b) in pre.pre_tokenize_str("".join(map(chr, chunk))):
            found.extend(chunk[a:b])
    return found


def kept(pattern):
    return matched(pre_tokenizers.Split(Regex(pattern), "removed", invert=True))


def numeric():
    pre, found = pre_tokenizers.Digits(individual_digits=False), []
    for chunk in CHUNKS:  # a marker letter on both sides of each character separates the pieces
        pieces = pre.pre_tokenize_str("".join("x" + chr(c) for c in chunk) + "x")
        for text, (a, _) in pieces:
            if len(text) == 1 and a % 2 == 1:
                found.append(chunk[a // 2])
    return found


def words():
    tok = Tokenizer(models.BPE(vocab={"q": 0}, merges=[]))
    tok.add_tokens([AddedToken("QQ", single_word=True, normalized=False)])
    found = []
    for chunk in CHUNKS:
        for c, enc in zip(chunk, tok.encode_batch([chr(c) + "QQ" for c in chunk])):
            if not enc.ids:
                found.append(c)
    return found


def runs(values):
    out, last = [], None
    for i, v in enumerate(values):
        if v != last:
            out.append((i, v))
            last = v
    return out


def main():
    flat = [CATEGORIES.index("Cn")] * LAST
    for c in range(0xD800, 0xE000):
        flat[c] = CATEGORIES.index("Cs")
    for number, name in enumerate(CATEGORIES):
        if name not in ("Cn", "Cs"):
            for c in kept(r"\p{%s}+" % name):
                flat[c] = number
    space = set(kept(r"\s+"))
    for c in space:
        if flat[c] == CATEGORIES.index("Cc"):
            flat[c] = SPACE_CONTROL
    separators = {CATEGORIES.index(z) for z in ("Zs", "Zl", "Zp")} | {SPACE_CONTROL}
    assert {c for c in POINTS if flat[c] in separators} == space
    for name, low, high in (("L", 0, 4), ("M", 5, 7), ("N", 8, 10), ("P", 11, 17), ("S", 18, 21)):
        assert {c for c in POINTS if low <= flat[c] <= high} == set(kept(r"\p{%s}+" % name)), name

    nfc, nfd = normalizers.NFC(), normalizers.NFD()
    ccc, decomposed, pairs = [0] * LAST, {}, []
    for c in POINTS:
        k, s = unicodedata.combining(chr(c)), chr(c)
        if k:  # known there only if it is reordered beside a mark of another class
            probe = "\u0300" + s if k < 230 else s + "\u0334"
            if nfd.normalize_str(probe) != probe:
                ccc[c] = k
        mapping = unicodedata.decomposition(s)
        if mapping and not mapping.startswith("<") and nfd.normalize_str(s) != s:
            parts = [int(x, 16) for x in mapping.split()]
            composes = len(parts) == 2 and nfc.normalize_str("".join(map(chr, parts))) == s
            pairs.append((c, composes, parts[0], parts[1] if len(parts) == 2 else 0))
            decomposed[c] = parts
        elif 0xAC00 <= c < 0xD7A4:
            continue
        else:
            assert nfd.normalize_str(s) == s, hex(c)
    second = {b for _, composes, _, b in pairs if composes}
    for c in POINTS:
        jamo = 0x1161 <= c < 0x1176 or 0x11A8 <= c < 0x11C3
        if ccc[c] or c in second or jamo or nfc.normalize_str(chr(c)) != chr(c):
            flat[c] |= NFC_FLAG
    for c in words():
        flat[c] |= WORD_FLAG
    for c in numeric():
        flat[c] |= NUMERIC_FLAG

    print("// Made by scripts/gen-unicode.py with tokenizers %s; do not edit." % tokenizers.__version__)
    print('#include "text/token/unicode.h"\n\n// clang-format off')
    emit("brew_ucd_runs", "code point << 8 | category and flags of it and those up to the next",
         [a << 8 | v for a, v in runs(flat)])
    emit("brew_ucd_ccc_runs", "code point << 8 | combining class",
         [a << 8 | v for a, v in runs(ccc)])
    emit("brew_ucd_canonical", "triples: code point | composes << 31, first, second or 0",
         [x for c, composes, a, b in pairs for x in (c | composes << 31, a, b)])
    print("// clang-format on")


def emit(name, what, numbers):
    print("// %s" % what)
    print("const uint32_t %s[] = {" % name)
    line = ""
    for n in numbers:
        text = "%#x," % n
        if len(line) + len(text) > 98:
            print(line)
            line = ""
        line += text
    print(line)
    print("};\nconst size_t %s_n = %d;\n" % (name, len(numbers)))


sys.exit(main())
