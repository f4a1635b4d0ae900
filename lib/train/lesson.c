// A teacher's stream beside the requests.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/teacher.h"

struct brew_lesson {
    brew_in *in;
    brew_source *source;
    uint64_t asked; // requests looked for
    size_t labels;  // label logits of the batch up to the next request
};

brew_lesson *brew_lesson_open(const char *path, const brew_source_options *reading, brew_err *err) {
    brew_lesson *lesson = brew_calloc(1, sizeof *lesson);
    brew_source_options options = *reading;
    options.texts = true;
    options.context = INT64_MAX;
    options.max_query = 0;
    options.fit = BREW_FIT_REJECT;
    lesson->in = brew_in_open(path, err);
    if (lesson->in) lesson->source = brew_source_open(lesson->in, &options, err);
    if (lesson->source && brew_source_teacher(lesson->source)) return lesson;
    if (lesson->source)
        brew_fail(err, BREW_DATA, "%s: is no teacher's stream: it has no logits", path);
    brew_lesson_close(lesson);
    return NULL;
}

void brew_lesson_close(brew_lesson *lesson) {
    if (!lesson) return;
    brew_source_free(lesson->source);
    brew_in_close(lesson->in);
    free(lesson);
}

const brew_star_teacher *brew_lesson_teacher(const brew_lesson *lesson) {
    return brew_source_teacher(lesson->source);
}

bool brew_lesson_renumbers(const brew_lesson *lesson) {
    return brew_source_renumbers(lesson->source);
}

static size_t labels_of(const brew_star *star, size_t r) {
    size_t n = 0;
    for (int64_t a = star->answer_splits[r]; a < star->answer_splits[r + 1]; a++) {
        int32_t set = star->answer_set[a];
        n += (size_t)(star->label_splits[set + 1] - star->label_splits[set]);
    }
    return n;
}

static bool same_answers(const brew_star *x, size_t i, const brew_star *y, size_t j) {
    int64_t a = x->answer_splits[i], b = y->answer_splits[j];
    int64_t first = x->segments[x->requests[i]], other = y->segments[y->requests[j]];
    if (x->answer_splits[i + 1] - a != y->answer_splits[j + 1] - b) return false;
    for (; a < x->answer_splits[i + 1]; a++, b++) {
        const int64_t *s = x->label_splits + x->answer_set[a];
        const int64_t *t = y->label_splits + y->answer_set[b];
        if (x->answers[a] - first != y->answers[b] - other || s[1] - s[0] != t[1] - t[0] ||
            memcmp(x->label_ids + s[0], y->label_ids + t[0],
                   (size_t)(s[1] - s[0]) * sizeof *x->label_ids))
            return false;
    }
    return true;
}

static bool same_request(const brew_star *x, size_t i, const brew_star *y, size_t j) {
    int64_t s = x->requests[i], t = y->requests[j], n = x->requests[i + 1] - s;
    if (n != y->requests[j + 1] - t) return false;
    int64_t first = x->segments[s], other = y->segments[t];
    for (int64_t k = 1; k <= n; k++)
        if (x->segments[s + k] - first != y->segments[t + k] - other) return false;
    size_t bytes = (size_t)(x->segments[s + n] - first) * sizeof *x->ids;
    return !memcmp(x->ids + first, y->ids + other, bytes) && same_answers(x, i, y, j);
}

int brew_lesson_find(brew_lesson *lesson, const brew_star *star, size_t r, brew_taught *taught,
                     brew_err *err) {
    brew_line line;
    int got;
    lesson->asked++;
    while ((got = brew_source_next(lesson->source, &line, err)) > 0) {
        size_t at = line.request ? lesson->labels : 0;
        lesson->labels = at + labels_of(line.star, line.request);
        // one that failed has tokens that the student lacks, and so cannot be the request
        if (line.failed || !same_request(star, r, line.star, line.request)) continue;
        const brew_star_teacher *teacher = brew_source_teacher(lesson->source);
        int64_t first = line.star->answer_splits[line.request], k = teacher->topk;
        *taught = (brew_taught){
            .logits = teacher->label_logits + at, .rest = teacher->rest + first, .topk = k};
        if (k) {
            taught->topk_ids = teacher->topk_ids + first * k;
            taught->topk_logits = teacher->topk_logits + first * k;
            taught->topk_rest = teacher->topk_rest + first;
        }
        return 0;
    }
    if (got < 0) return -1;
    return brew_fail(err, BREW_DATA,
                     "%s: holds nothing about request %" PRIu64
                     ": make the teacher's stream from the same requests, in the same order",
                     brew_in_name(lesson->in), lesson->asked);
}
