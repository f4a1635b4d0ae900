// Splitting text into pieces, as the regular expressions of known tokenizers do, without them.
//
// A splitter finds the end of the piece that begins at `at` (< len), seeing the text [0, len) as if
// nothing stood around it. Each is exact for all of Unicode (valid UTF-8).
#ifndef BREW_TEXT_SPLIT_H
#define BREW_TEXT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// *match: whether the pattern matched this piece, or it lies between matches.
typedef size_t brew_split_fn(const char *text, size_t at, size_t len, bool *match);

// Pieces of whole texts.
brew_split_fn brew_split_gpt2;        // ByteLevel's own pattern
brew_split_fn brew_split_gpt2_digits; // Digits (each alone), then that pattern: SmolLM, StarCoder
brew_split_fn brew_split_llama3;      // up to three digits together
brew_split_fn brew_split_qwen2;       // digits alone
// Steps of sequences.
brew_split_fn brew_split_digit, brew_split_digits; // numeric characters alone; runs of them

// DeepSeek's, one for each pattern of split_patterns.h.
brew_split_fn brew_split_newline, brew_split_letters, brew_split_marks, brew_split_cased,
    brew_split_signs, brew_split_space_end, brew_split_east, brew_split_han_kana,
    brew_split_numbers3, brew_split_deepseek3;

// The hand-written splitter of a pattern, or NULL. Patterns are compared as text.
brew_split_fn *brew_split_known(const char *pattern, size_t len);
// The pattern numbered `index` of those, and its splitter; NULL behind the last.
const char *brew_split_pattern(size_t index, brew_split_fn **fn);

// A pattern run by PCRE2, read as Oniguruma reads it (Ruby syntax), with Unicode classes from our own
// tables. What may mean something else there is refused by name.
typedef struct brew_split_regex brew_split_regex;
brew_split_regex *brew_split_regex_new(const char *pattern, size_t len, brew_err *err);
void brew_split_regex_free(brew_split_regex *regex);
// Room for matching, one per thread and pattern.
typedef struct brew_split_room brew_split_room;
brew_split_room *brew_split_room_new(const brew_split_regex *regex);
void brew_split_room_free(brew_split_room *room);
void brew_split_room_reset(brew_split_room *room); // before the first piece of another text
// As a splitter; negative if the text takes more than PCRE2's limits.
int brew_split_regex_next(const brew_split_regex *regex, brew_split_room *room, const char *text,
                          size_t at, size_t len, size_t *end, bool *match, brew_err *err);

// The splits of whole tokenizers, many pieces at a time: from `at`, the start of a piece, writes the
// ends of pieces to `ends` (room for at least BREW_SPLIT_ROOM) and gives their count, 0 only if at ==
// len. Texts are shorter than 4 GiB.
enum brew_grammar {
    BREW_GRAMMAR_GPT2,
    BREW_GRAMMAR_GPT2_DIGITS,
    BREW_GRAMMAR_LLAMA3,
    BREW_GRAMMAR_QWEN2
};
enum { BREW_SPLIT_ROOM = 320 };
typedef size_t brew_split_batch_fn(enum brew_grammar grammar, const char *text, size_t at,
                                   size_t len, uint32_t *ends);
// Levels: character by character; 64 bytes at a time where they are ASCII (split_mask.h).
brew_split_batch_fn brew_split_batch_scalar, brew_split_batch_avx2, brew_split_batch_avx512;
// The best one this CPU has, and its name; `number` 0, 1, ... gives each one it has, then NULL.
brew_split_batch_fn *brew_split_batch_level(int number, const char **name);
brew_split_batch_fn *brew_split_batch_best(void);

// The splitter of a grammar.
size_t brew_split_grammar(enum brew_grammar grammar, const char *text, size_t at, size_t len);

#endif
