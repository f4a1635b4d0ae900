// Choosing among texts by what they share with another: BM25 with k1 = 1.2 and b = 0.75.
//
//     score(d) = sum over the distinct words w of the query, in order of their first place in it, of
//                ln(1 + (N - n_w + 0.5) / (n_w + 0.5)) * f (k1 + 1) / (f + k1 (1 - b + b |d| / mean |d|))
//
// with N texts to choose among, n_w of them holding w, f times w in d. Words are runs of ASCII letters
// and digits, in lower case, and of bytes beyond ASCII. After Robertson and Zaragoza (2009), with the idf
// that is never negative.
#ifndef BREW_TEXT_SIMILAR_H
#define BREW_TEXT_SIMILAR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/hash.h"

typedef struct brew_similar { // zero-initialise
    brew_intern words;
    size_t *text, *ends; // words of all texts, and where each text's end; the query's behind them
    size_t n_words, n_texts, text_cap, ends_cap;
    size_t *slot, slot_cap;   // [words] 1 + a query word's number, else 0
    size_t *found, found_cap; // [query words] texts that hold it, then times in one text
    double *scores;
    size_t *order, scores_cap, order_cap;
    brew_buf word;
} brew_similar;

void brew_similar_reset(brew_similar *similar); // forgets all texts
void brew_similar_release(brew_similar *similar);
// Adds a text: the first is number 0.
void brew_similar_add(brew_similar *similar, const char *text, size_t len);
// The (at most k) most similar of texts[n] to the query, in their order in texts[n], into out. Of equally
// similar ones the later are taken. Returns how many.
size_t brew_similar_choose(brew_similar *similar, const size_t *texts, size_t n, const char *query,
                           size_t len, size_t k, size_t *out);

#endif
