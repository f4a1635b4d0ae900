// Which level of the batch splitters this CPU runs.
#include "text/token/split.h"

size_t brew_split_grammar(enum brew_grammar grammar, const char *text, size_t at, size_t len) {
    bool match;
    switch (grammar) {
    case BREW_GRAMMAR_GPT2:
        return brew_split_gpt2(text, at, len, &match);
    case BREW_GRAMMAR_GPT2_DIGITS:
        return brew_split_gpt2_digits(text, at, len, &match);
    case BREW_GRAMMAR_LLAMA3:
        return brew_split_llama3(text, at, len, &match);
    case BREW_GRAMMAR_QWEN2:
        break;
    }
    return brew_split_qwen2(text, at, len, &match);
}

size_t brew_split_batch_scalar(enum brew_grammar grammar, const char *text, size_t at, size_t len,
                               uint32_t *ends) {
    size_t n = 0;
    while (at < len && n < BREW_SPLIT_ROOM) {
        at = brew_split_grammar(grammar, text, at, len);
        ends[n++] = (uint32_t)at;
    }
    return n;
}

brew_split_batch_fn *brew_split_batch_level(int number, const char **name) {
#if defined(__x86_64__)
    bool has512 = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2");
    if (has512 && number-- == 0) return *name = "avx512", brew_split_batch_avx512;
    if (__builtin_cpu_supports("avx2") && number-- == 0)
        return *name = "avx2", brew_split_batch_avx2;
#endif
    if (number == 0) return *name = "generic", brew_split_batch_scalar;
    return NULL;
}

brew_split_batch_fn *brew_split_batch_best(void) {
    const char *name;
    return brew_split_batch_level(0, &name);
}
