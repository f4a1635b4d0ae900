#include "text/draft/names.h"

#include <string.h>

// Letters and digits alone, lower case; letters of other scripts stay. The length.
static size_t plain(const char *name, char out[64]) {
    size_t n = 0;
    for (; *name && n < 63; name++) {
        unsigned char c = (unsigned char)*name;
        if (c >= 'A' && c <= 'Z') c |= 32;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80) out[n++] = (char)c;
    }
    out[n] = 0;
    return n;
}

static bool ends_in(const char *name, size_t n, const char *word, size_t len) {
    return n >= len && !memcmp(name + n - len, word, len);
}

// How well exactly these letters fit.
static int rank_of(const char *name, size_t n, const char *words, bool ends) {
    int best = BREW_NAME_NONE, i = 0;
    for (const char *at = words; *at; i++) {
        size_t len = strcspn(at, " ");
        if (len == n && !memcmp(at, name, n) && i < best) best = i;
        if (ends && len > 3 && ends_in(name, n, at, len) && BREW_NAME_ENDS + i < best)
            best = BREW_NAME_ENDS + i;
        at += len;
        at += *at == ' ';
    }
    return best;
}

int brew_name_rank(const char *name, const char *words, bool ids) {
    static const struct {
        const char *text;
        int behind; // a user's id is better than a user's name
    } endings[] = {{"id", 0},  {"ids", 0}, {"no", 0},    {"nr", 0},   {"key", 0},   {"code", 0},
                   {"idx", 0}, {"num", 0}, {"index", 0}, {"hash", 0}, {"name", 500}};
    char letters[64];
    size_t n = plain(name, letters);
    if (!n) return BREW_NAME_NONE;
    int best = rank_of(letters, n, words, ids);
    for (size_t i = 0; ids && i < sizeof endings / sizeof *endings; i++) {
        size_t len = strlen(endings[i].text);
        if (n <= len || !ends_in(letters, n, endings[i].text, len)) continue;
        int rank = rank_of(letters, n - len, words, true);
        if (rank < BREW_NAME_NONE && rank + endings[i].behind < best)
            best = rank + endings[i].behind;
    }
    return best;
}

brew_sample_column *brew_name_find(const brew_sample *sample, const char *words, bool ids,
                                   int *rank) {
    brew_sample_column *found = NULL;
    int best = BREW_NAME_NONE;
    for (size_t i = 0; i < sample->n; i++) {
        brew_sample_column *column = &sample->columns[i];
        if (column->ambiguous || column->nested || !column->n) continue;
        int fits = brew_name_rank(column->name, words, ids);
        if (fits >= best) continue;
        best = fits;
        found = column;
    }
    if (rank) *rank = best;
    return found;
}
