#include "text/token/tok_steps.h"

#include "base/mem.h"

static int too_many(brew_err *err) {
    return brew_fail(err, BREW_DATA, "tokenizer: more than %d steps of one kind", BREW_TOK_STEPS);
}

brew_tok_normal *brew_tok_add_normal(brew_tokenizer *tok, enum brew_tok_normal_kind kind,
                                     brew_err *err) {
    if (tok->n_normals == BREW_TOK_STEPS) return too_many(err), NULL;
    tok->normals[tok->n_normals].kind = kind;
    return &tok->normals[tok->n_normals++];
}

brew_tok_step *brew_tok_add_step(brew_tokenizer *tok, enum brew_tok_step_kind kind, brew_err *err) {
    if (tok->n_steps == BREW_TOK_STEPS) return too_many(err), NULL;
    if (tok->n_steps && tok->steps[tok->n_steps - 1].kind == STEP_BYTES) {
        brew_fail(err, BREW_DATA, "tokenizer: a pre-tokenizer behind ByteLevel is not supported");
        return NULL;
    }
    tok->steps[tok->n_steps].kind = kind;
    return &tok->steps[tok->n_steps++];
}

brew_tok_decode *brew_tok_add_decode(brew_tokenizer *tok, enum brew_tok_decode_kind kind,
                                     brew_err *err) {
    if (tok->n_decodes == BREW_TOK_STEPS) return too_many(err), NULL;
    tok->has_decoder = true;
    tok->decodes[tok->n_decodes].kind = kind;
    return &tok->decodes[tok->n_decodes++];
}

int brew_tok_add_pattern(brew_tokenizer *tok, const char *pattern, size_t len,
                         enum brew_tok_behavior behavior, bool invert, brew_err *err) {
    brew_tok_step *step = brew_tok_add_step(tok, STEP_SPLIT, err);
    if (!step) return -1;
    step->behavior = behavior;
    step->invert = invert;
    step->literal = brew_strndup(pattern, len);
    step->literal_len = len;
    step->fn = brew_split_known(pattern, len);
    if (!step->fn) step->regex = brew_split_regex_new(pattern, len, err);
    return step->fn || step->regex ? 0 : -1;
}

int brew_tok_add_digits(brew_tokenizer *tok, bool individual, brew_err *err) {
    brew_tok_step *step = brew_tok_add_step(tok, STEP_SPLIT, err);
    if (!step) return -1;
    step->split = individual;
    step->fn = individual ? brew_split_digit : brew_split_digits;
    return 0;
}

int brew_tok_add_bytes(brew_tokenizer *tok, bool prefix, bool use_regex, brew_err *err) {
    brew_tok_step *step = brew_tok_add_step(tok, STEP_BYTES, err);
    if (!step) return -1;
    step->prefix = prefix;
    step->split = use_regex;
    step->fn = use_regex ? brew_split_gpt2 : NULL;
    tok->bpe.byte_level = true;
    return 0;
}
