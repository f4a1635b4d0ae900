#include "text/prompt/similar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const double K1 = 1.2, B = 0.75;

static bool in_word(unsigned char c) {
    return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void brew_similar_reset(brew_similar *similar) {
    brew_intern_release(&similar->words);
    similar->words = (brew_intern){0};
    similar->n_words = similar->n_texts = 0;
}

void brew_similar_release(brew_similar *similar) {
    brew_intern_release(&similar->words);
    free(similar->text);
    free(similar->ends);
    free(similar->slot);
    free(similar->found);
    free(similar->scores);
    free(similar->order);
    brew_buf_release(&similar->word);
    *similar = (brew_similar){0};
}

// Appends the words of a text behind those there are. Where they end.
static size_t add_words(brew_similar *s, const char *text, size_t len) {
    size_t n = s->n_words;
    for (size_t i = 0; i < len;) {
        if (!in_word((unsigned char)text[i])) {
            i++;
            continue;
        }
        brew_buf_reset(&s->word);
        for (; i < len && in_word((unsigned char)text[i]); i++)
            brew_buf_addc(&s->word,
                          text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i]);
        BREW_GROW(s->text, n + 1, s->text_cap);
        s->text[n++] = brew_intern_put(&s->words, s->word.ptr, s->word.len);
    }
    return n;
}

void brew_similar_add(brew_similar *similar, const char *text, size_t len) {
    BREW_GROW(similar->ends, similar->n_texts + 1, similar->ends_cap);
    similar->n_words = add_words(similar, text, len);
    similar->ends[similar->n_texts++] = similar->n_words;
}

static size_t begin_of(const brew_similar *s, size_t text) {
    return text ? s->ends[text - 1] : 0;
}

// Numbers the distinct words of the query. How many.
static size_t take_query(brew_similar *s, const char *query, size_t len) {
    size_t end = add_words(s, query, len), n = 0;
    BREW_GROW(s->slot, s->words.count, s->slot_cap);
    memset(s->slot, 0, s->words.count * sizeof *s->slot);
    for (size_t i = s->n_words; i < end; i++)
        if (!s->slot[s->text[i]]) s->slot[s->text[i]] = ++n;
    BREW_GROW(s->found, 2 * n, s->found_cap);
    if (n) memset(s->found, 0, 2 * n * sizeof *s->found);
    return n;
}

// How often each query word stands in a text, into times[n].
static void count(const brew_similar *s, size_t text, size_t *times, size_t n) {
    if (n) memset(times, 0, n * sizeof *times);
    for (size_t i = begin_of(s, text); i < s->ends[text]; i++)
        if (s->slot[s->text[i]]) times[s->slot[s->text[i]] - 1]++;
}

static void score(brew_similar *s, const size_t *texts, size_t n, size_t n_query) {
    size_t *holding = s->found, *times = s->found + n_query, total = 0;
    for (size_t i = 0; i < n; i++) {
        count(s, texts[i], times, n_query);
        total += s->ends[texts[i]] - begin_of(s, texts[i]);
        for (size_t w = 0; w < n_query; w++) holding[w] += times[w] > 0;
    }
    double mean = total ? (double)total / (double)n : 1;
    for (size_t i = 0; i < n; i++) {
        double length = (double)(s->ends[texts[i]] - begin_of(s, texts[i]));
        count(s, texts[i], times, n_query);
        s->scores[i] = 0;
        for (size_t w = 0; w < n_query; w++) {
            if (!times[w]) continue;
            double held = (double)holding[w], f = (double)times[w];
            double idf = log(1 + ((double)n - held + 0.5) / (held + 0.5));
            s->scores[i] += idf * f * (K1 + 1) / (f + K1 * (1 - B + B * length / mean));
        }
    }
}

// Is text i behind text j in the order of taking?
static bool later(const brew_similar *s, size_t i, size_t j) {
    double a = s->scores[i], b = s->scores[j];
    return a < b || (a == b && i < j);
}

// A heap of the k best, the worst on top.
static void sift_down(brew_similar *s, size_t at, size_t n) {
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && later(s, s->order[child + 1], s->order[child])) child++;
        if (!later(s, s->order[child], s->order[at])) return;
        size_t t = s->order[at];
        s->order[at] = s->order[child];
        s->order[child] = t;
    }
}

static int ascending(const void *a, const void *b) {
    const size_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

size_t brew_similar_choose(brew_similar *similar, const size_t *texts, size_t n, const char *query,
                           size_t len, size_t k, size_t *out) {
    if (k > n) k = n;
    if (!k) return 0;
    BREW_GROW(similar->scores, n, similar->scores_cap);
    BREW_GROW(similar->order, k, similar->order_cap);
    score(similar, texts, n, take_query(similar, query, len));
    for (size_t i = 0; i < k; i++) similar->order[i] = i;
    for (size_t i = k / 2; i-- > 0;) sift_down(similar, i, k);
    for (size_t i = k; i < n; i++) {
        if (!later(similar, similar->order[0], i)) continue;
        similar->order[0] = i;
        sift_down(similar, 0, k);
    }
    qsort(similar->order, k, sizeof *similar->order, ascending);
    for (size_t i = 0; i < k; i++) out[i] = texts[similar->order[i]];
    return k;
}
