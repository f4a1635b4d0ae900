#include "text/prompt/rows.h"

// A bad row, whose reason is in *err: 0 to go on.
static int reject_row(const brew_table *table, brew_reject_fn *reject, void *arg, brew_err *err) {
    uint64_t line = brew_table_line_number(table);
    if (!reject)
        return brew_err_context(err, "%s:%llu", brew_table_name(table), (unsigned long long)line);
    const char *raw;
    size_t len;
    brew_table_raw(table, &raw, &len);
    return reject(arg, brew_table_name(table), line, raw, len, err);
}

int brew_rows_read(const char *path, const brew_source *as, const char *const *columns,
                   size_t n_columns, brew_row_fn *take, void *state, brew_reject_fn *reject,
                   void *arg, brew_events_counts *counts, brew_err *err) {
    brew_table *table = brew_table_open_headed(path, as ? as->format : BREW_TABLE_AUTO,
                                               as ? (const char *const *)as->header : NULL,
                                               as ? as->n_header : 0, columns, n_columns, err);
    if (!table) return -1;
    const brew_field *fields;
    int status;
    while ((status = brew_table_next(table, &fields, err))) {
        if (status < 0 && brew_table_failed(table)) break;
        if (status > 0) {
            int taken = take(state, fields, err);
            if (taken < 0) {
                status = -1;
                break;
            }
            status = taken ? -1 : 1;
        }
        counts->read++;
        if (status > 0) {
            counts->accepted++;
        } else {
            counts->rejected++;
            status = reject_row(table, reject, arg, err);
            if (status) break;
        }
    }
    brew_table_close(table);
    return status ? -1 : 0;
}
