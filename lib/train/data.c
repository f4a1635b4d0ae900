#include "train/data.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "io/provenance.h"
#include "train/order.h"
#include "train/teacher.h"

// One input.
struct feed {
    char *path, *name; // its task, where the records name none
    bool pipe, held;
    brew_in *in;
    brew_source *source; // while it is read
    brew_lesson *lesson; // the teacher's stream beside it, or NULL
    brew_batch batch;    // all of it, if held
    uint64_t n;          // requests, once surveyed
    brew_star text;      // one that is too long, of which `given` tokens have been handed out
    int64_t given;
    int32_t text_task;
    uint64_t passes; // begun, if read as it goes
    char sha256[65]; // empty: not known
    uint64_t bytes;
    brew_json *chain; // of a stream
    int64_t from;     // that chain's end in the joined one
};

struct brew_data {
    brew_data_options options;
    brew_data_facts facts;
    struct feed *feeds;
    double *weights;
    uint64_t *taken; // [n] requests of each feed so far
    size_t n;
    brew_intern tasks;
    brew_batch scratch;
    uint64_t hash;
};

// ---- reading an input ----

static void close_feed(struct feed *feed) {
    brew_source_free(feed->source);
    brew_lesson_close(feed->lesson);
    brew_in_close(feed->in);
    feed->source = NULL;
    feed->lesson = NULL;
    feed->in = NULL;
}

static int open_feed(brew_data *data, struct feed *feed, brew_err *err) {
    close_feed(feed);
    feed->passes++;
    if (!(feed->in = brew_in_open(feed->path, err))) return -1;
    brew_in_digest_start(feed->in);
    feed->source = brew_source_open(feed->in, &data->options.reading, err);
    if (!feed->source) return -1;
    if (!data->options.teacher) return 0;
    feed->lesson = brew_lesson_open(data->options.teacher, &data->options.reading, err);
    return feed->lesson ? 0 : -1;
}

// At the clean end: what the input was.
static void know_feed(struct feed *feed) {
    if (feed->sha256[0]) return;
    brew_in_digest(feed->in, feed->sha256);
    feed->bytes = brew_in_offset(feed->in);
    const brew_json *chain = brew_source_provenance(feed->source);
    if (chain) feed->chain = brew_json_copy(chain);
}

static int32_t task_of(brew_data *data, const struct feed *feed, const brew_line *line) {
    size_t len = 0, name_len = strlen(feed->name);
    const char *text = brew_star_meta(line->star, line->request, &len), *name = feed->name;
    brew_err err;
    brew_json *record = text ? brew_json_parse(text, len, &err) : NULL;
    const brew_json *task = brew_json_get(brew_json_get(record, "meta"), "task");
    if (brew_json_is(task, BREW_JSON_STRING)) name = brew_json_string(task, &name_len);
    int32_t number = (int32_t)brew_intern_put(&data->tasks, name, name_len);
    brew_json_free(record);
    return number;
}

// The next piece of the text under way.
static int give_piece(const brew_data *data, struct feed *feed, brew_batch *batch, brew_err *err) {
    brew_star piece = {0};
    int64_t n = (int64_t)feed->text.n_ids, from = feed->given ? feed->given - 1 : 0;
    int64_t end =
        from + data->options.reading.context < n ? from + data->options.reading.context : n;
    brew_star_add_request(&piece);
    brew_star_add_ids(&piece, feed->text.ids + from, (size_t)(end - from));
    int rc = brew_batch_add(batch, &piece, 0, feed->text_task, NULL, err);
    brew_star_release(&piece);
    feed->given = end;
    if (end == n) brew_star_reset(&feed->text);
    return rc ? -1 : 1;
}

// What the teacher said of a request: nothing of one without answers.
static int hear(struct feed *feed, const brew_line *line, brew_taught *taught, brew_err *err) {
    const int64_t *splits = line->star->answer_splits + line->request;
    *taught = (brew_taught){.topk = brew_lesson_teacher(feed->lesson)->topk};
    if (splits[0] == splits[1]) return 0;
    return brew_lesson_find(feed->lesson, line->star, line->request, taught, err);
}

// Whether the request is longer than the context, which only a text can be: then it is kept.
static bool keep_long(brew_data *data, struct feed *feed, const brew_line *line) {
    if (brew_star_span(line->star, line->request) <= data->options.reading.context) return false;
    brew_star_append(&feed->text, line->star, line->request);
    feed->text_task = task_of(data, feed, line);
    feed->given = 0;
    return true;
}

// Appends the next sound request of an open feed: 1; 0 its end; -1 an error. Bad ones are reported unless a
// survey has done that.
static int read_one(brew_data *data, struct feed *feed, brew_batch *batch, brew_err *err) {
    brew_line line;
    int got;
    if (feed->text.n_ids) return give_piece(data, feed, batch, err);
    while ((got = brew_source_next(feed->source, &line, err)) > 0) {
        brew_err failed;
        if (!line.failed && keep_long(data, feed, &line)) return give_piece(data, feed, batch, err);
        brew_taught taught;
        if (!line.failed && feed->lesson && hear(feed, &line, &taught, err)) return -1;
        if (!line.failed &&
            !brew_batch_add(batch, line.star, line.request, task_of(data, feed, &line),
                            feed->lesson ? &taught : NULL, &failed))
            return 1;
        if (!line.failed) line.failed = &failed;
        if (feed->sha256[0]) continue;
        data->facts.rejected++;
        if (data->options.reject(data->options.arg, brew_in_name(feed->in), &line, err)) return -1;
    }
    if (!got) know_feed(feed);
    return got;
}

static void count_request(brew_data_facts *facts, const brew_batch *batch, size_t r) {
    const brew_star *star = &batch->star;
    int64_t tokens = brew_batch_tokens(batch, r);
    int64_t answers = star->answer_splits[r + 1] - star->answer_splits[r];
    facts->requests++;
    facts->tokens += (uint64_t)tokens;
    facts->answers += (uint64_t)answers;
    facts->items += brew_star_items(star, r);
    if (tokens > facts->longest) facts->longest = tokens;
    int64_t labels = 0, first = star->answer_splits[r];
    for (int64_t a = first; a < star->answer_splits[r + 1]; a++) {
        bool item = a - first < (int64_t)brew_star_items(star, r);
        bool known = star->targets[a] >= 0 && star->weights[a] > 0;
        *(item ? &facts->known_items : &facts->known_history) += known;
        labels += brew_star_labels(star, (size_t)a);
    }
    if (!tokens) return;
    facts->answer_share = fmax(facts->answer_share, (double)answers / (double)tokens);
    facts->label_share = fmax(facts->label_share, (double)labels / (double)tokens);
}

// Reads all of an input, keeping it or counting only.
static int survey(brew_data *data, struct feed *feed, brew_err *err) {
    brew_batch *batch = feed->held ? &feed->batch : &data->scratch;
    int got;
    if (open_feed(data, feed, err)) return -1;
    while ((got = read_one(data, feed, batch, err)) > 0) {
        count_request(&data->facts, batch, batch->star.n_requests - 1);
        feed->n++;
        if (!feed->held) brew_batch_reset(batch);
    }
    close_feed(feed);
    feed->passes = 0;
    if (got) return -1;
    if (!feed->n)
        return brew_fail(err, BREW_DATA, "%s: holds no request to learn from",
                         strcmp(feed->path, "-") ? feed->path : "standard input");
    if (feed->held) data->facts.bytes += brew_batch_bytes(&feed->batch);
    return 0;
}

// ---- opening ----

// "data/movies.train.tar.gz": movies.train
static char *name_of(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t len = strlen(name);
    static const char *const ends[] = {".gz", ".zst", ".xz", ".tar", ".jsonl"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end = strlen(ends[i]);
        if (len > end && !memcmp(name + len - end, ends[i], end)) len -= end;
    }
    return brew_strndup(name, len);
}

static int open_all(brew_data *data, const brew_data_input *inputs, brew_err *err) {
    data->facts.known = true;
    for (size_t i = 0; i < data->n; i++) {
        struct feed *feed = data->feeds + i;
        struct stat st;
        feed->path = brew_strdup(inputs[i].path);
        feed->name = name_of(feed->path);
        feed->from = -1;
        feed->held = data->options.shuffle || data->options.hold;
        feed->pipe = !strcmp(feed->path, "-") || (!stat(feed->path, &st) && !S_ISREG(st.st_mode));
        data->weights[i] = inputs[i].weight;
        if (feed->pipe && !feed->held)
            data->facts.known = false;
        else if (survey(data, feed, err))
            return -1;
    }
    if (!data->facts.known) data->facts = (brew_data_facts){.known = false};
    return 0;
}

brew_data *brew_data_open(const brew_data_input *inputs, size_t n, const brew_data_options *options,
                          brew_err *err) {
    brew_data *data = brew_calloc(1, sizeof *data);
    data->options = *options;
    data->n = n;
    data->feeds = brew_calloc(n, sizeof *data->feeds);
    data->weights = brew_calloc(n, sizeof *data->weights);
    data->taken = brew_calloc(n, sizeof *data->taken);
    if (!open_all(data, inputs, err)) return data;
    brew_data_free(data);
    return NULL;
}

void brew_data_free(brew_data *data) {
    if (!data) return;
    for (size_t i = 0; i < data->n; i++) {
        close_feed(data->feeds + i);
        brew_batch_release(&data->feeds[i].batch);
        brew_star_release(&data->feeds[i].text);
        brew_json_free(data->feeds[i].chain);
        free(data->feeds[i].name);
        free(data->feeds[i].path);
    }
    brew_batch_release(&data->scratch);
    brew_intern_release(&data->tasks);
    free(data->feeds);
    free(data->weights);
    free(data->taken);
    free(data);
}

const brew_data_facts *brew_data_get_facts(const brew_data *data) {
    return &data->facts;
}

brew_json *brew_data_identity(const brew_data *data) {
    brew_json *list = brew_json_new_array();
    for (size_t i = 0; i < data->n; i++) {
        const struct feed *feed = data->feeds + i;
        brew_json *entry = feed->sha256[0] ? brew_json_new_object() : brew_json_new_real(NAN);
        if (feed->sha256[0]) {
            brew_json_set(entry, "sha256", brew_json_new_string(feed->sha256, 64));
            brew_json_set(entry, "bytes", brew_json_new_int((int64_t)feed->bytes));
        }
        brew_json_push(list, entry);
    }
    return list;
}

void brew_data_join(brew_data *data, brew_json *chain) {
    for (size_t i = 0; i < data->n; i++)
        data->feeds[i].from = brew_provenance_join(chain, data->feeds[i].chain);
}

void brew_data_provenance(const brew_data *data, brew_json *entry) {
    for (size_t i = 0; i < data->n; i++) {
        const struct feed *feed = data->feeds + i;
        if (feed->sha256[0])
            brew_provenance_input(entry, data->options.role, feed->sha256, feed->bytes, feed->from);
    }
}

// ---- the sequence ----

static int next_held(brew_data *data, size_t i, brew_batch *batch) {
    const struct feed *feed = data->feeds + i;
    uint64_t epoch = data->taken[i] / feed->n, at = data->taken[i] % feed->n;
    if (data->options.epochs && epoch >= (uint64_t)data->options.epochs) return 0;
    uint64_t seed = brew_mix64(data->options.seed + i);
    if (data->options.shuffle) at = brew_shuffle_at(seed, epoch, feed->n, at);
    brew_batch_append(batch, &feed->batch, at);
    return 1;
}

static int next_read(brew_data *data, struct feed *feed, brew_batch *batch, brew_err *err) {
    for (;;) {
        if (!feed->source && open_feed(data, feed, err)) return -1;
        int got = read_one(data, feed, batch, err);
        if (got) return got;
        bool last = data->options.epochs && feed->passes >= (uint64_t)data->options.epochs;
        if (feed->pipe || last) return 0;
        close_feed(feed);
    }
}

int brew_data_next(brew_data *data, brew_batch *batch, brew_err *err) {
    size_t i = brew_mix_next(data->weights, data->taken, data->n);
    struct feed *feed = data->feeds + i;
    int got = feed->held ? next_held(data, i, batch) : next_read(data, feed, batch, err);
    if (got <= 0) return got;
    size_t r = batch->star.n_requests - 1;
    const int32_t *ids = batch->star.ids + batch->star.segments[batch->star.requests[r]];
    data->hash = brew_hash64(ids, (size_t)brew_batch_tokens(batch, r) * sizeof *ids, data->hash);
    data->taken[i]++;
    return 1;
}

int brew_data_skip(brew_data *data, uint64_t n, brew_err *err) {
    for (uint64_t i = 0; i < n; i++) {
        brew_batch_reset(&data->scratch);
        int got = brew_data_next(data, &data->scratch, err);
        if (got < 0) return -1;
        if (!got)
            return brew_fail(
                err, BREW_DATA,
                "the input ends after %" PRIu64 " requests, %" PRIu64 " had been trained on", i, n);
    }
    return 0;
}

uint64_t brew_data_hash(const brew_data *data) {
    return data->hash;
}

size_t brew_data_tasks(const brew_data *data) {
    return data->tasks.count;
}

const char *brew_data_task(const brew_data *data, size_t task) {
    return data->tasks.entries[task].ptr;
}
