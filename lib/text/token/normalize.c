// The normalisers of tokenizers we know, each from one buffer of the scratch into the other.
#include "text/token/tok.h"

#include "base/mem.h"

static void add_origin(brew_origins *origins, size_t at, int64_t value) {
    BREW_GROW(origins->at, at + 1, origins->cap);
    origins->at[at] = value;
}

static void add_bytes(brew_buf *out, brew_origins *origins, const char *bytes, size_t len,
                      int64_t first, bool follow) {
    for (size_t i = 0; origins && i < len; i++)
        add_origin(origins, out->len + i, follow ? first + (int64_t)i : i ? -1 : first);
    brew_buf_add(out, bytes, len);
}

// Origins of the new text are indices of the old one here; normalize() maps them on.
static void replace(brew_buf *out, brew_origins *origins, const brew_tok_normal *step,
                    const char *text, size_t len) {
    size_t from = 0;
    for (size_t at = 0; at + step->from_len <= len;) {
        if (memcmp(text + at, step->from, step->from_len) != 0) {
            at++;
            continue;
        }
        add_bytes(out, origins, text + from, at - from, (int64_t)from, true);
        add_bytes(out, origins, step->to, step->to_len, (int64_t)at, false);
        at += step->from_len;
        from = at;
    }
    add_bytes(out, origins, text + from, len - from, (int64_t)from, true);
}

brew_tok_view brew_tok_normalize(const brew_tokenizer *tok, brew_tok_scratch *scratch,
                                 brew_tok_view view, bool prepend, bool with_origins) {
    int side = 0;
    for (size_t i = 0; i < tok->n_normals && view.len; i++) {
        const brew_tok_normal *step = &tok->normals[i];
        if (step->kind == NORMAL_NFC && brew_nfc_quick(view.text, view.len)) continue;
        if (step->kind == NORMAL_PREPEND && !prepend) continue;
        brew_buf *out = &scratch->text[side];
        brew_origins *origins = with_origins ? &scratch->origins[side] : NULL;
        brew_buf_reset(out);
        if (step->kind == NORMAL_NFC) {
            brew_nfc_add(out, view.text, view.len, origins);
        } else if (step->kind == NORMAL_PREPEND) {
            add_bytes(out, origins, step->to, step->to_len, -1, false);
            add_bytes(out, origins, view.text, view.len, 0, true);
        } else {
            replace(out, origins, step, view.text, view.len);
        }
        for (size_t j = 0; origins && j < out->len; j++)
            if (origins->at[j] >= 0)
                origins->at[j] = brew_tok_origin(&view, (size_t)origins->at[j]);
        view.text = out->ptr ? out->ptr : "";
        view.len = out->len;
        view.origins = origins ? origins->at : NULL;
        side = !side;
    }
    return view;
}
