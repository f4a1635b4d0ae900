// Which pattern, as tokenizer files spell it, has a splitter of our own.
#include "text/token/split.h"

#include <string.h>

#define GPT2_WORDS "'s|'t|'re|'ve|'m|'ll|'d"

static const struct {
    const char *pattern;
    brew_split_fn *fn;
} known[] = {
    {GPT2_WORDS "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", brew_split_gpt2},
    {"(?i:" GPT2_WORDS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
     "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     brew_split_llama3},
    {"(?i:" GPT2_WORDS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
     "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     brew_split_qwen2},
};

brew_split_fn *brew_split_known(const char *pattern, size_t len) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].pattern) == len && !memcmp(known[i].pattern, pattern, len))
            return known[i].fn;
    return NULL;
}
