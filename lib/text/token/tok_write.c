// A tokenizer as a tokenizer.json. Everything that decides ids is written out, nothing is left to defaults.
#include <string.h>

#include "io/json.h"
#include "text/token/tok.h"

static void add_text(brew_buf *out, const char *key, const char *text, size_t len) {
    brew_buf_addf(out, "\"%s\":", key);
    brew_json_write_string(out, text, len);
}

static void add_flag(brew_buf *out, const char *key, bool flag) {
    brew_buf_addf(out, "\"%s\":%s", key, flag ? "true" : "false");
}

// {"type":"...", left open for more members
static void open_part(brew_buf *out, size_t index, const char *type) {
    brew_buf_addf(out, "%s{\"type\":\"%s\"", index ? "," : "", type);
}

static void add_pattern(brew_buf *out, const char *kind, const char *text, size_t len) {
    brew_buf_adds(out, ",\"pattern\":{");
    add_text(out, kind, text, len);
    brew_buf_addc(out, '}');
}

static void add_member(brew_buf *out, const char *key, const char *text, size_t len) {
    brew_buf_addc(out, ',');
    add_text(out, key, text, len);
}

static void add_bytes(brew_buf *out, size_t index, bool prefix, bool use_regex) {
    open_part(out, index, "ByteLevel");
    brew_buf_addc(out, ',');
    add_flag(out, "add_prefix_space", prefix);
    brew_buf_adds(out, ",\"trim_offsets\":true,");
    add_flag(out, "use_regex", use_regex);
}

// ---- The parts

static void add_normals(brew_buf *out, const brew_tokenizer *tok) {
    if (!tok->n_normals) {
        brew_buf_adds(out, "\"normalizer\":null,");
        return;
    }
    brew_buf_adds(out, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    for (size_t i = 0; i < tok->n_normals; i++) {
        const brew_tok_normal *n = &tok->normals[i];
        switch (n->kind) {
        case NORMAL_NFC:
            open_part(out, i, "NFC");
            break;
        case NORMAL_PREPEND:
            open_part(out, i, "Prepend");
            add_member(out, "prepend", n->to, n->to_len);
            break;
        case NORMAL_REPLACE:
            open_part(out, i, "Replace");
            add_pattern(out, "String", n->from, n->from_len);
            add_member(out, "content", n->to, n->to_len);
        }
        brew_buf_addc(out, '}');
    }
    brew_buf_adds(out, "]},");
}

static void add_split(brew_buf *out, size_t index, const brew_tok_step *step) {
    static const char *const behaviors[] = {"Isolated", "Removed", "MergedWithPrevious",
                                            "MergedWithNext", "Contiguous"};
    if (!step->literal) {
        open_part(out, index, "Digits");
        brew_buf_addc(out, ',');
        add_flag(out, "individual_digits", step->split);
        return;
    }
    open_part(out, index, "Split");
    add_pattern(out, step->fn || step->regex ? "Regex" : "String", step->literal,
                step->literal_len);
    brew_buf_addf(out, ",\"behavior\":\"%s\",", behaviors[step->behavior]);
    add_flag(out, "invert", step->invert);
}

static void add_metaspace(brew_buf *out, size_t index, const char *replacement, size_t len,
                          const char *scheme, bool split) {
    open_part(out, index, "Metaspace");
    add_member(out, "replacement", replacement, len);
    brew_buf_addf(out, ",\"prepend_scheme\":\"%s\",", scheme);
    add_flag(out, "split", split);
}

static void add_steps(brew_buf *out, const brew_tokenizer *tok) {
    if (!tok->n_steps) {
        brew_buf_adds(out, "\"pre_tokenizer\":null,");
        return;
    }
    brew_buf_adds(out, "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[");
    for (size_t i = 0; i < tok->n_steps; i++) {
        const brew_tok_step *s = &tok->steps[i];
        if (s->kind == STEP_BYTES)
            add_bytes(out, i, s->prefix, s->split);
        else if (s->kind == STEP_SPLIT)
            add_split(out, i, s);
        else
            add_metaspace(out, i, s->literal, s->literal_len,
                          s->prefix_first ? "first"
                          : s->prefix     ? "always"
                                          : "never",
                          s->split);
        brew_buf_addc(out, '}');
    }
    brew_buf_adds(out, "]},");
}

// What the encoding of one text begins with, or of two.
static void add_template(brew_buf *out, const brew_tokenizer *tok) {
    if (tok->bos < 0) {
        brew_buf_adds(out, "\"post_processor\":null,");
        return;
    }
    size_t len;
    const char *entry = brew_tokenizer_entry(tok, tok->bos, &len);
    brew_buf name = {0};
    brew_json_write_string(&name, entry, len);
    static const char piece[] = "{\"SpecialToken\":{\"id\":%s,\"type_id\":%d}},"
                                "{\"Sequence\":{\"id\":\"%s\",\"type_id\":%d}}";
    brew_buf_adds(out, "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[");
    brew_buf_addf(out, piece, name.ptr, 0, "A", 0);
    brew_buf_adds(out, "],\"pair\":[");
    brew_buf_addf(out, piece, name.ptr, 0, "A", 0);
    brew_buf_addc(out, ',');
    brew_buf_addf(out, piece, name.ptr, 1, "B", 1);
    brew_buf_addf(out, "],\"special_tokens\":{%s:{\"id\":%s,\"ids\":[%d],\"tokens\":[%s]}}},",
                  name.ptr, name.ptr, (int)tok->bos, name.ptr);
    brew_buf_release(&name);
}

static void add_decode(brew_buf *out, size_t index, const brew_tok_decode *d) {
    switch (d->kind) {
    case DECODE_BYTES:
        add_bytes(out, index, true, true);
        break;
    case DECODE_REPLACE:
        open_part(out, index, "Replace");
        add_pattern(out, "String", d->from, d->from_len);
        add_member(out, "content", d->to, d->to_len);
        break;
    case DECODE_BYTE_FALLBACK:
        open_part(out, index, "ByteFallback");
        break;
    case DECODE_FUSE:
        open_part(out, index, "Fuse");
        break;
    case DECODE_STRIP:
        open_part(out, index, "Strip");
        add_member(out, "content", d->from, d->from_len);
        brew_buf_addf(out, ",\"start\":%lld,\"stop\":%lld", (long long)d->start,
                      (long long)d->stop);
        break;
    case DECODE_METASPACE:
        add_metaspace(out, index, d->from, d->from_len, d->drop_first ? "always" : "never", true);
    }
    brew_buf_addc(out, '}');
}

static void add_decodes(brew_buf *out, const brew_tokenizer *tok) {
    if (!tok->has_decoder) {
        brew_buf_adds(out, "\"decoder\":null,");
        return;
    }
    brew_buf_adds(out, "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[");
    for (size_t i = 0; i < tok->n_decodes; i++) add_decode(out, i, &tok->decodes[i]);
    brew_buf_adds(out, "]},");
}

static void add_added(brew_buf *out, const brew_tokenizer *tok) {
    brew_buf_adds(out, "\"added_tokens\":[");
    for (size_t i = 0; i < tok->n_added; i++) {
        const brew_added_token *t = &tok->added[i];
        brew_buf_addf(out, "%s{\"id\":%d,", i ? "," : "", (int)t->id);
        add_text(out, "content", t->text, t->len);
        const struct {
            const char *key;
            bool flag;
        } flags[] = {{"single_word", t->single_word},
                     {"lstrip", t->lstrip},
                     {"rstrip", t->rstrip},
                     {"normalized", t->normalized},
                     {"special", t->special}};
        for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
            brew_buf_addc(out, ',');
            add_flag(out, flags[k].key, flags[k].flag);
        }
        brew_buf_addc(out, '}');
    }
    brew_buf_adds(out, "],");
}

static void add_entry(brew_buf *out, const brew_vocab *vocab, int32_t id) {
    size_t len;
    const char *text = brew_vocab_entry(vocab, id, &len);
    brew_json_write_string(out, text, len);
}

static void add_model(brew_buf *out, const brew_tokenizer *tok) {
    const brew_bpe *bpe = &tok->bpe;
    brew_buf_adds(out, "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":");
    if (bpe->unk < 0)
        brew_buf_adds(out, "null");
    else
        add_entry(out, &tok->vocab, bpe->unk);
    brew_buf_adds(out, ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,");
    add_flag(out, "fuse_unk", bpe->fuse_unk);
    brew_buf_addc(out, ',');
    add_flag(out, "byte_fallback", bpe->byte_fallback);
    brew_buf_addc(out, ',');
    add_flag(out, "ignore_merges", bpe->ignore_merges);
    brew_buf_adds(out, ",\"vocab\":{");
    const char *comma = "";
    for (size_t id = 0; id < tok->vocab.n; id++) {
        size_t len;
        const char *text = brew_vocab_entry(&tok->vocab, (int32_t)id, &len);
        if (!text) continue;
        brew_buf_adds(out, comma);
        brew_json_write_string(out, text, len);
        brew_buf_addf(out, ":%zu", id);
        comma = ",";
    }
    brew_buf_adds(out, "},\"merges\":[");
    comma = "";
    for (size_t i = 0; i < bpe->n_merges; i++) {
        const struct brew_merge *m = &bpe->merges[i];
        if (m->left < 0) continue; // a later merge of the same two holds
        brew_buf_addf(out, "%s[", comma);
        add_entry(out, &tok->vocab, m->left);
        brew_buf_addc(out, ',');
        add_entry(out, &tok->vocab, m->right);
        brew_buf_addc(out, ']');
        comma = ",";
    }
    brew_buf_adds(out, "]}");
}

void brew_tokenizer_write(const brew_tokenizer *tok, brew_buf *out) {
    brew_buf_adds(out, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,");
    add_added(out, tok);
    add_normals(out, tok);
    add_steps(out, tok);
    add_template(out, tok);
    add_decodes(out, tok);
    add_model(out, tok);
    brew_buf_adds(out, "}\n");
}
