#include "io/rows.h"

#include <stdlib.h>

#include "base/mem.h"

int brew_sink_put(const brew_sink *to, const void *bytes, size_t len, brew_err *err) {
    if (to->sha) brew_sha256_add(to->sha, bytes, len);
    return brew_out_write(to->out, bytes, len, err);
}

enum { PIECE = 1 << 18 }; // values on their way, at least a row

int brew_rows_write(const brew_sink *to, const brew_tensor *tensor, size_t index,
                    brew_rows_fn *rows, void *arg, brew_err *err) {
    int64_t cols = brew_tensor_row_len(tensor), n = brew_tensor_n_rows(tensor);
    int64_t step = cols < PIECE ? PIECE / (cols ? cols : 1) : 1;
    if (step > n) step = n;
    float *piece = brew_realloc_array(NULL, (size_t)step * (size_t)cols + 1, sizeof *piece);
    int rc = 0;
    for (int64_t first = 0; !rc && cols && first < n; first += step) {
        int64_t count = n - first < step ? n - first : step;
        rows(arg, index, first, count, piece);
        size_t bytes = brew_values_store(tensor->dtype, piece, (size_t)count * (size_t)cols);
        rc = brew_sink_put(to, piece, bytes, err);
    }
    free(piece);
    return rc;
}
