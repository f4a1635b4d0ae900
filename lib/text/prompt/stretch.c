#include "text/prompt/stretch.h"

#include <stdlib.h>

#include "base/mem.h"
#include "text/prompt/sortkey.h"

void brew_round_init(brew_round *round, int threads) {
    size_t most = threads > 1 ? 2 * (size_t)threads : 1;
    *round = (brew_round){.most = most, .stretches = brew_calloc(most, sizeof *round->stretches)};
}

void brew_round_release(brew_round *round) {
    for (size_t i = 0; i < round->most; i++) {
        brew_buf_release(&round->stretches[i].copies);
        brew_buf_release(&round->stretches[i].end);
    }
    free(round->stretches);
    brew_buf_release(&round->last);
}

static void copy_string(brew_buf *to, const void *string) {
    brew_buf_reset(to);
    brew_buf_add(to, string, 4 + brew_sort_len(string));
}

int brew_round_next(brew_round *round, brew_sorter *sorter, brew_err *err) {
    if (round->n) copy_string(&round->last, round->stretches[round->n - 1].end.ptr);
    for (round->n = 0; round->n < round->most; round->n++) {
        brew_stretch *s = &round->stretches[round->n];
        ptrdiff_t got = brew_sorter_next_many(sorter, s->strings, BREW_STRETCH, &s->copies, err);
        if (got < 0) return -1;
        if (!got) break;
        s->n = (size_t)got;
        copy_string(&s->end, s->strings[s->n - 1]);
        const brew_buf *last = round->n ? &s[-1].end : &round->last;
        s->last = last->len ? (const unsigned char *)last->ptr : NULL;
    }
    return round->n > 0;
}
