#include "rank/study.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/buf.h"
#include "io/in.h"
#include "io/out.h"
#include "rank/added.h"
#include "rank/bulk.h"
#include "rank/chosen.h"
#include "rank/compare.h"
#include "rank/past_read.h"
#include "rank/report.h"

enum { MAX_LINE = 256 << 20 };

static void warn(const brew_study *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void warn(const brew_study *s, const char *fmt, ...) {
    brew_err text;
    va_list ap;
    va_start(ap, fmt);
    brew_vfail(&text, BREW_DATA, fmt, ap);
    va_end(ap);
    s->warn(s->arg, text.text);
}

static int read_lines(brew_study *s, brew_reader *into, brew_in *in, brew_err *err) {
    const char *line;
    size_t len;
    int got;
    while ((got = brew_in_line(in, &line, &len, MAX_LINE, err)) > 0) {
        uint64_t number = brew_in_line_number(in);
        if (brew_reader_add(into, line, len, err) == 0)
            s->records++;
        else if (err->code != BREW_DATA ||
                 s->reject(s->arg, brew_in_name(in), number, line, len, err) < 0)
            return -1;
        if (number % 1024 == 0) s->progress(s->arg, number);
    }
    return got;
}

static int read_scores(brew_study *s, const char *path, brew_reader *into, brew_err *err) {
    if (brew_reader_init(into, s->group, s->by.values, s->by.n, true, err) < 0) return -1;
    into->prompts = s->prompts;
    into->sampled = s->sampled;
    into->since_ms = s->since_ms;
    brew_in *in = brew_in_open(path, err);
    if (!in) return -1;
    int status = read_lines(s, into, in, err);
    uint64_t lines = brew_in_line_number(in);
    if (status == 0 && s->expect >= 0 && lines != (uint64_t)s->expect)
        status = brew_fail(err, BREW_DATA, "%s: %" PRIu64 " records, %" PRId64 " expected",
                           brew_in_name(in), lines, s->expect);
    else if (status == 0 && lines == 0 && !s->allow_empty)
        status = brew_fail(err, BREW_DATA, "%s: is empty", brew_in_name(in));
    else if (status == 0 && into->cut && into->counts.records == 0)
        status = brew_fail(err, BREW_DATA,
                           "%s: all records have meta.truncated, and stand for no others "
                           "(without that field they can be judged alone)",
                           brew_in_name(in));
    else if (status == 0 && into->answers.n == 0 && lines)
        warn(s, "%s: no item has an outcome", brew_in_name(in));
    brew_in_close(in);
    return status;
}

// The baselines that the task's log gives.
static int read_events(brew_study *s, brew_err *err) {
    brew_events_options how = {.files = (char **)(void *)(uintptr_t)s->events.values,
                               .n_files = s->events.n,
                               .reject = s->reject,
                               .arg = s->arg};
    brew_past *past = s->static_only ? NULL : brew_past_new();
    int64_t status = brew_past_read(s->task, &how, &s->reader, &s->baselines, past, err);
    if (status == 0) brew_baselines_list(&s->baselines, &s->reader.answers, &s->others);
    if (status == 0 && past) status = brew_past_list(past, &s->reader, s->pool, &s->others, err);
    if (status > 0)
        warn(s, "%" PRId64 " answers have no time: no baselines as of each question", status);
    brew_past_free(past);
    return status < 0 ? -1 : 0;
}

static int add_systems(brew_study *s, brew_err *err) {
    int status = 0;
    for (size_t i = 0; status == 0 && i < s->added.n; i++) {
        brew_added added;
        uint64_t extra = 0;
        status = brew_added_parse(&added, s->added.values[i], err);
        if (status == 0)
            status = brew_added_read(&added, &s->reader, s->allow_missing, &s->others, &extra, err);
        if (status == 0 && extra)
            warn(s, "%s: %" PRIu64 " rows are of other answers", added.path, extra);
        brew_added_release(&added);
    }
    return status;
}

// Fits a calibration to the scores, or applies one.
static int calibrate(brew_study *s, brew_err *err) {
    brew_calibration c = {0};
    brew_buf text = {0};
    int status = 0;
    if (s->fit) {
        status = brew_calibration_fit(&c, &s->reader, s->fit_method, s->pool, err);
        if (status == 0) brew_calibration_write(&c, &text);
        if (status == 0) status = brew_out_whole(s->fit, BREW_OUT_TEXT, text.ptr, text.len, err);
    } else if (s->calibration) {
        status = brew_calibration_load(&c, s->calibration, err);
        if (status == 0) status = brew_chosen_calibrate(&s->reader, &c, &s->others, err);
    }
    brew_buf_release(&text);
    brew_calibration_release(&c);
    return status;
}

// What was chosen on these answers may be looked at, but not judged.
static int check_chosen(brew_study *s, brew_err *err) {
    brew_err why = {0};
    if (brew_chosen_check(&s->reader, s->chosen_on.values, s->chosen_on.n, &why) == 0) return 0;
    if (!s->judged && why.code == BREW_DATA) {
        warn(s, "%s", why.text);
        return 0;
    }
    *err = why;
    return -1;
}

static brew_json *compare(brew_study *s, brew_err *err) {
    brew_join join = {0};
    brew_json *report = NULL;
    if (s->reader.cut) warn(s, "records with meta.truncated are left out of the comparison");
    if (read_scores(s, s->scores[1], &s->other, err) == 0 &&
        brew_join_init(&join, &s->reader, &s->other, s->allow_missing, err) == 0)
        report = brew_report_two(&s->reader, &s->other, &join, &s->how, s->pool, err);
    brew_join_release(&join);
    return report;
}

brew_json *brew_study_report(brew_study *s, brew_err *err) {
    if (!s->scores[1] && brew_folder_is(s->scores[0]))
        return brew_bulk_report_of(s->scores[0], s->allow_empty, s->pool, err);
    if (read_scores(s, s->scores[0], &s->reader, err) < 0 || check_chosen(s, err) < 0) return NULL;
    if (s->scores[1]) return compare(s, err);
    if (calibrate(s, err) < 0 || add_systems(s, err) < 0 || (s->task && read_events(s, err) < 0))
        return NULL;
    brew_json *report = brew_report_one(&s->reader, &s->others, &s->how, s->pool, err);
    if (report && s->task)
        brew_json_set(report, "events", brew_baselines_events(&s->baselines, &s->reader.answers));
    return report;
}

void brew_study_release(brew_study *s) {
    brew_reader_release(&s->reader);
    brew_reader_release(&s->other);
    brew_baselines_release(&s->baselines);
    brew_systems_release(&s->others);
}
