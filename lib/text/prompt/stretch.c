#include "text/prompt/stretch.h"

#include <stdlib.h>

#include "base/mem.h"
#include "text/prompt/sortkey.h"

void brew_round_init(brew_round *round, int threads) {
    size_t most = threads > 1 ? 2 * (size_t)threads : 1;
    *round = (brew_round){.most = most, .stretches = brew_calloc(most, sizeof *round->stretches)};
}

void brew_round_release(brew_round *round) {
    for (size_t i = 0; i < round->most; i++) brew_buf_release(&round->stretches[i].copies);
    free(round->stretches);
    brew_buf_release(&round->last);
}

int brew_round_next(brew_round *round, brew_sorter *sorter, brew_err *err) {
    if (round->n) { // before anything moves, what the next round comes behind
        const brew_stretch *end = &round->stretches[round->n - 1];
        const unsigned char *last = end->strings[end->n - 1];
        brew_buf_reset(&round->last);
        brew_buf_add(&round->last, last, 4 + brew_sort_len(last));
    }
    for (round->n = 0; round->n < round->most; round->n++) {
        brew_stretch *s = &round->stretches[round->n];
        ptrdiff_t got = brew_sorter_next_many(sorter, s->strings, BREW_STRETCH, &s->copies, err);
        if (got < 0) return -1;
        if (!got) break;
        s->n = (size_t)got;
        if (round->n)
            s->last = s[-1].strings[s[-1].n - 1];
        else
            s->last = round->last.len ? (const unsigned char *)round->last.ptr : NULL;
    }
    return round->n > 0;
}
