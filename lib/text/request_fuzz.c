// make fuzz FUZZ=lib/text/request_fuzz.c (from the project's root): what is accepted makes a sound star,
// and a record with ids that gives the same star again.
#include "text/request.h"

#include <stdlib.h>
#include <string.h>

#include "io/modeldir.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static brew_modeldir *dir;
static brew_tokenizer *tok;
static brew_tok_scratch *scratch;
static brew_request request;

static void open_tokenizer(void) {
    brew_err err;
    dir = brew_modeldir_open("testdata/models/tiny", &err);
    if (dir) tok = brew_tokenizer_open(dir, &err);
    if (!tok) abort();
    scratch = brew_tok_scratch_new(tok);
}

// Parses and encodes a line alone; false if it is refused.
static bool encode(const char *line, size_t len, brew_star *star, brew_ids *query,
                   size_t *dropped) {
    brew_err err;
    brew_encode_counts counts = {0};
    brew_encode_options options = {
        .bos = true, .max_query = 16, .fit = BREW_FIT_OLDEST, .query = query};
    brew_star_reset(star);
    if (brew_request_parse(&request, line, len, &err) ||
        brew_request_encode(&request, tok, scratch, &options, star, &counts, &err))
        return false;
    if (brew_star_check(star, 0, &err)) abort();
    *dropped = (size_t)counts.lines_dropped;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    if (!tok) open_tokenizer();
    brew_star star = {0}, again = {0};
    brew_ids query = {.with_offsets = true};
    brew_buf ids = {0};
    size_t dropped;
    if (encode((const char *)bytes, len, &star, &query, &dropped)) {
        brew_request_write_ids(&request, (const char *)bytes, len, &star, &query, dropped, &ids);
        if (!encode(ids.ptr, ids.len, &again, &query, &dropped) || dropped) abort();
        if (star.n_ids != again.n_ids || star.n_answers != again.n_answers) abort();
        if (star.n_ids && memcmp(star.ids, again.ids, star.n_ids * sizeof *star.ids)) abort();
        for (size_t a = 0; a < star.n_answers; a++)
            if (star.answers[a] != again.answers[a] || star.targets[a] != again.targets[a]) abort();
    }
    brew_star_release(&star);
    brew_star_release(&again);
    brew_ids_release(&query);
    brew_buf_release(&ids);
    return 0;
}
