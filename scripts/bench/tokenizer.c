// Times brew_tokenizer_encode on a text: for scripts/bench/tokenizer.py.
// usage: tokenizer MODEL TEXT [IDS]; MODEL is a model or a tokenizer.json. Prints the seconds of loading,
// of encoding from a cold start (nothing cached), and again (warm), CPU time of the one thread, and the
// number of ids, which go to IDS as int32.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/in.h"
#include "io/modeldir.h"
#include "text/token/tokenizer.h"

static brew_err err;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(void) {
    fprintf(stderr, "tokenizer: %s\n", err.text);
    exit(65);
}

static brew_buf load(const char *path) {
    brew_buf text = {0};
    brew_in *in = brew_in_open(path, &err);
    ssize_t n = in ? 1 : -1;
    while (n > 0) {
        brew_buf_reserve(&text, 1 << 20);
        n = brew_in_read(in, text.ptr + text.len, 1 << 20, &err);
        if (n > 0) text.len += (size_t)n;
    }
    if (n < 0) die();
    brew_in_close(in);
    return text;
}

static brew_tokenizer *open_tokenizer(const char *path) {
    brew_tokenizer *tok = NULL;
    if (strstr(path, ".json")) {
        brew_buf json = load(path);
        tok = brew_tokenizer_from_json(json.ptr, json.len, NULL, 0, &err);
        brew_buf_release(&json);
    } else {
        brew_modeldir *dir = brew_modeldir_open(path, &err);
        if (dir) tok = brew_tokenizer_open(dir, &err);
        brew_modeldir_close(dir);
    }
    if (!tok) die();
    return tok;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    brew_buf text = load(argv[2]);
    double begin = now(), seconds[2];
    brew_tokenizer *tok = open_tokenizer(argv[1]);
    double loading = now() - begin;
    brew_tok_scratch *scratch = brew_tok_scratch_new(tok);
    brew_ids ids = {0};
    for (int i = 0; i < 2; i++) {
        brew_ids_release(&ids);
        begin = now();
        if (brew_tokenizer_encode(tok, scratch, text.ptr, text.len,
                                  BREW_TOK_SPECIALS | BREW_TOK_START, &ids, &err))
            die();
        seconds[i] = now() - begin;
    }
    FILE *out = argc > 3 ? fopen(argv[3], "wb") : NULL;
    if (argc > 3 && (!out || fwrite(ids.ids, sizeof *ids.ids, ids.n, out) != ids.n || fclose(out)))
        return 74;
    printf("%.6f %.6f %.6f %zu\n", loading, seconds[0], seconds[1], ids.n);
    brew_ids_release(&ids);
    brew_tok_scratch_free(scratch);
    brew_tokenizer_free(tok);
    brew_buf_release(&text);
    return 0;
}
