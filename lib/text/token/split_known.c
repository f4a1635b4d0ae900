// Which pattern, as tokenizer files spell it, has a splitter of our own.
#include "text/token/split.h"

#include <string.h>

#include "text/token/split_patterns.h"

static const struct {
    const char *pattern;
    brew_split_fn *fn;
} known[] = {
    {BREW_PATTERN_GPT2, brew_split_gpt2},           {BREW_PATTERN_LLAMA3, brew_split_llama3},
    {BREW_PATTERN_QWEN2, brew_split_qwen2},         {BREW_PATTERN_NEWLINE, brew_split_newline},
    {BREW_PATTERN_LETTERS, brew_split_letters},     {BREW_PATTERN_MARKS, brew_split_marks},
    {BREW_PATTERN_CASED, brew_split_cased},         {BREW_PATTERN_SIGNS, brew_split_signs},
    {BREW_PATTERN_SPACE_END, brew_split_space_end}, {BREW_PATTERN_EAST, brew_split_east},
    {BREW_PATTERN_HAN_KANA, brew_split_han_kana},   {BREW_PATTERN_NUMBERS3, brew_split_numbers3},
    {BREW_PATTERN_DEEPSEEK3, brew_split_deepseek3},
};

const char *brew_split_pattern(size_t index, brew_split_fn **fn) {
    if (index >= sizeof known / sizeof *known) return NULL;
    *fn = known[index].fn;
    return known[index].pattern;
}

brew_split_fn *brew_split_known(const char *pattern, size_t len) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].pattern) == len && !memcmp(known[i].pattern, pattern, len))
            return known[i].fn;
    return NULL;
}
