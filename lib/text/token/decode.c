// Decoding: entries of ids through the decoder's steps, which work on a list of strings.
#include "text/token/tok.h"

#include <stdlib.h>

#include "base/mem.h"

typedef struct strings {
    brew_buf bytes;
    struct range {
        size_t from, to;
    } * at;
    size_t n, cap;
} strings;

static void strings_release(strings *s) {
    brew_buf_release(&s->bytes);
    free(s->at);
}

// Ends the string that began at byte `from` of the buffer.
static void strings_end(strings *s, size_t from) {
    BREW_GROW(s->at, s->n + 1, s->cap);
    s->at[s->n++] = (struct range){from, s->bytes.len};
}

static void strings_add(strings *s, const char *text, size_t len) {
    size_t from = s->bytes.len;
    brew_buf_add(&s->bytes, text, len);
    strings_end(s, from);
}

// ByteLevel: the bytes its characters stand for, or the entry itself where one stands for none.
static void bytes_of_entry(brew_buf *out, const char *text, size_t len) {
    size_t mark = out->len;
    for (size_t at = 0; at < len;) {
        uint32_t point;
        at += brew_utf8_get(text + at, &point);
        int byte = brew_point_to_byte(point);
        if (byte < 0) {
            out->len = mark;
            brew_buf_add(out, text, len);
            return;
        }
        brew_buf_addc(out, (char)byte);
    }
}

static void decode_bytes(const strings *in, strings *out) {
    brew_buf raw = {0};
    for (size_t i = 0; i < in->n; i++)
        bytes_of_entry(&raw, in->bytes.ptr + in->at[i].from, in->at[i].to - in->at[i].from);
    brew_utf8_add_lossy(&out->bytes, raw.ptr ? raw.ptr : "", raw.len);
    strings_end(out, 0);
    brew_buf_release(&raw);
}

static void decode_replace(const brew_tok_decode *step, const char *text, size_t len,
                           strings *out) {
    size_t start = out->bytes.len;
    for (size_t at = 0; at < len;) {
        if (len - at >= step->from_len && !memcmp(text + at, step->from, step->from_len)) {
            brew_buf_add(&out->bytes, step->to, step->to_len);
            at += step->from_len;
        } else {
            brew_buf_addc(&out->bytes, text[at++]);
        }
    }
    strings_end(out, start);
}

static int hex_byte(const char *text, size_t len) { // <0xNN>, or -1
    if (len != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    int value = 0, digits = 0;
    for (int i = 3; i < 5; i++) {
        char c = text[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0 && !(i == 3 && c == '+')) return -1; // Rust reads a plus sign
        if (d < 0) continue;
        value = value * 16 + d;
        digits++;
    }
    return digits ? value : -1;
}

static void flush_bytes(brew_buf *raw, strings *out) {
    if (raw->len && brew_utf8_prefix(raw->ptr, raw->len) == raw->len)
        strings_add(out, raw->ptr, raw->len);
    else
        for (size_t i = 0; i < raw->len; i++) strings_add(out, "\xef\xbf\xbd", 3);
    brew_buf_reset(raw);
}

static void decode_byte_fallback(const strings *in, strings *out) {
    brew_buf raw = {0};
    for (size_t i = 0; i < in->n; i++) {
        const char *text = in->bytes.ptr + in->at[i].from;
        size_t len = in->at[i].to - in->at[i].from;
        int byte = hex_byte(text, len);
        if (byte >= 0) {
            brew_buf_addc(&raw, (char)byte);
            continue;
        }
        flush_bytes(&raw, out);
        strings_add(out, text, len);
    }
    flush_bytes(&raw, out);
    brew_buf_release(&raw);
}

static void decode_strip(const brew_tok_decode *step, const char *text, size_t len, strings *out) {
    size_t k = step->from_len, from = 0, to = len;
    for (int64_t i = 0; i < step->start; i++) {
        if (to - from < k || memcmp(text + from, step->from, k) != 0) break;
        from += k;
    }
    for (int64_t i = 0; i < step->stop; i++) {
        if (to - from < k || memcmp(text + to - k, step->from, k) != 0) break;
        to -= k;
    }
    strings_add(out, text + from, to - from);
}

static void decode_metaspace(const brew_tok_decode *step, const char *text, size_t len, bool first,
                             strings *out) {
    size_t k = step->from_len, start = out->bytes.len;
    for (size_t at = 0; at < len;) {
        if (len - at >= k && !memcmp(text + at, step->from, k)) {
            if (!first || !step->drop_first) brew_buf_addc(&out->bytes, ' ');
            at += k;
        } else {
            brew_buf_addc(&out->bytes, text[at++]);
        }
    }
    strings_end(out, start);
}

static void decode_step(const brew_tok_decode *step, const strings *in, strings *out) {
    if (step->kind == DECODE_BYTES) {
        decode_bytes(in, out);
        return;
    }
    if (step->kind == DECODE_BYTE_FALLBACK) {
        decode_byte_fallback(in, out);
        return;
    }
    if (step->kind == DECODE_FUSE) {
        brew_buf_add(&out->bytes, in->bytes.ptr, in->bytes.len);
        strings_end(out, 0);
        return;
    }
    for (size_t i = 0; i < in->n; i++) {
        const char *text = in->bytes.ptr + in->at[i].from;
        size_t len = in->at[i].to - in->at[i].from;
        if (step->kind == DECODE_REPLACE)
            decode_replace(step, text, len, out);
        else if (step->kind == DECODE_STRIP)
            decode_strip(step, text, len, out);
        else
            decode_metaspace(step, text, len, i == 0, out);
    }
}

int brew_tokenizer_decode(const brew_tokenizer *tok, const int32_t *ids, size_t n, brew_buf *out,
                          brew_err *err) {
    strings list = {0};
    brew_buf_reserve(&list.bytes, 1);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0) {
            strings_release(&list);
            return brew_fail(err, BREW_DATA, "id %d at index %zu is negative", ids[i], i);
        }
        size_t len;
        const char *text = brew_tokenizer_entry(tok, ids[i], &len);
        if (text && tok->added_by_id[ids[i]] >= 0) {
            const brew_added_token *token = &tok->added[tok->added_by_id[ids[i]]];
            if (token->looked) text = token->looked, len = token->looked_len;
        }
        if (!text) continue; // as tokenizers: an id that nothing has is passed over
        if (!tok->has_decoder && list.n) brew_buf_addc(&list.bytes, ' ');
        strings_add(&list, text, len);
    }
    for (size_t i = 0; i < tok->n_decodes; i++) {
        strings next = {0};
        brew_buf_reserve(&next.bytes, list.bytes.len);
        decode_step(&tok->decodes[i], &list, &next);
        strings_release(&list);
        list = next;
    }
    brew_buf_add(out, list.bytes.ptr, list.bytes.len);
    strings_release(&list);
    return 0;
}
