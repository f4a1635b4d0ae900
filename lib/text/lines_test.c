// Lines through threads: order, results and failures at their places, at any number of threads.
#include "text/lines.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"

// Doubles a line into text; one that begins with 'r' becomes a request, too; one with 'x' fails.
static int twice(void *arg, int worker, const char *line, size_t len, brew_star *star,
                 brew_buf *text, brew_err *err) {
    (void)arg, (void)worker;
    if (len && line[0] == 'x') return brew_fail(err, BREW_DATA, "an x of %zu bytes", len);
    brew_buf_add(text, line, len);
    brew_buf_add(text, line, len);
    if (len && line[0] == 'r') {
        int32_t id = (int32_t)len;
        brew_star_add_request(star);
        brew_star_add_ids(star, &id, 1);
        brew_star_add_meta(star, "{}", 2);
    }
    return 0;
}

static char path[] = "/tmp/brew-lines.XXXXXX";

static void write_input(const char *bytes, size_t len) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, len, file) != len || fclose(file)) abort();
}

// A digest of everything that comes out.
static void read_all(int threads, brew_buf *out) {
    brew_err err = {0};
    brew_in *in = brew_in_open(path, &err);
    brew_pool *pool = brew_pool_new(threads);
    brew_lines *lines = brew_lines_new(in, pool, twice, NULL);
    brew_line line;
    int got;
    brew_buf_reset(out);
    while ((got = brew_lines_next(lines, &line, &err)) > 0) {
        brew_buf_addf(out, "%llu %zu ", (unsigned long long)line.number, line.len);
        if (line.failed) brew_buf_addf(out, "! %s", line.failed->text);
        brew_buf_add(out, line.text, line.text_len);
        if (line.star)
            brew_buf_addf(out, " [%d]", (int)line.star->ids[line.star->segments[line.request]]);
        brew_buf_addc(out, '\n');
    }
    brew_buf_addf(out, got ? "error: %s" : "end", strstr(err.text, "the last line"));
    brew_lines_free(lines);
    brew_pool_free(pool);
    brew_in_close(in);
}

int main(void) {
    brew_buf in = {0}, out = {0}, other = {0};
    int fd = mkstemp(path);
    if (fd < 0) abort();
    close(fd);
    write_input("ab\nr!\n\nxyz\nrr\nn\0l\nend\n", 22);
    read_all(1, &out);
    is_str(out.ptr,
           "1 2 abab\n2 2 r!r! [2]\n3 0 \n4 3 ! an x of 3 bytes\n5 2 rrrr [2]\n"
           "6 3 ! a NUL byte in a line of text\n7 3 endend\nend",
           "results, requests and failures at their places");
    write_input("", 0);
    read_all(2, &out);
    is_str(out.ptr, "end", "an empty input");
    for (int i = 0; i < 20000; i++)
        brew_buf_addf(&in, "%c%.*s\n", "abrx"[i * 7 % 4], i * 31 % 97,
                      "0123456789012345678901234567890123456789012345678901234567890123456789"
                      "012345678901234567890123456789");
    write_input(in.ptr, in.len);
    read_all(1, &out);
    for (int threads = 2; threads <= 3; threads++) {
        read_all(threads, &other);
        ok(out.len == other.len && !memcmp(out.ptr, other.ptr, out.len), "%d threads, same results",
           threads);
    }
    write_input(in.ptr, in.len - 1);
    read_all(2, &other);
    ok(strstr(other.ptr, "error: the last line has no newline"), "a cut input is an error");
    ok(strstr(other.ptr, "\n19999 ") && !strstr(other.ptr, "\n20000 "),
       "behind all its whole lines");
    unlink(path);
    brew_buf_release(&in);
    brew_buf_release(&out);
    brew_buf_release(&other);
    return tap_done();
}
