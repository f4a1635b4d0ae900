// Task files: what is read, what is refused and where; times; actions.
#include "text/prompt/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"

static const char *const good =
    "{\n"
    "  \"task\": \"movies\",\n"
    "  \"events\": {\n"
    "    \"file\": \"ratings.csv\", \"member\": \"userId\",\n"
    "    \"item\": \"movieId\", \"time\": \"timestamp\",\n"
    "    \"time_unit\": \"s\", \"value\": \"rating\"\n"
    "  },\n"
    "  \"items\": {\"file\": \"/abs/movies.csv\", \"id\": \"movieId\"},\n"
    "  \"actions\": [\n"
    "    {\"name\": \"liked\", \"label\": \" Yes\", \"min\": 4},\n"
    "    {\"name\": \"not\",\n"
    "     \"label\": \" No\", \"below\": 4}\n"
    "  ],\n"
    "  \"positive\": [\"liked\"],\n"
    "  \"templates\": {\"instruction\": \"Did they?\", \"question\": \"{title}:\"},\n"
    "  \"history\": {\"max\": 50},\n"
    "  \"questions\": {\"max\": 5},\n"
    "  \"split\": {\"by\": \"last\", \"test\": 0.2}\n"
    "}\n";

static char path[256];

static brew_task *load(const char *text, size_t len, brew_err *err) {
    FILE *f = fopen(path, "wb");
    fwrite(text, 1, len, f);
    fclose(f);
    *err = (brew_err){0};
    return brew_task_load(path, err);
}

static void test_good(void) {
    brew_err err;
    brew_task *task = load(good, strlen(good), &err);
    if (!ok(task != NULL, "a good task: %s", err.text)) return;
    is_str(task->name, "movies", "its name");
    ok(strstr(task->logs[0].events.path, "/ratings.csv") && task->logs[0].events.path[0] == '/',
       "a path is made relative to the task file");
    is_str(task->item_tables[0].source.path, "/abs/movies.csv", "an absolute path stays");
    is_int((long long)task->max_history, 50, "history");
    is_int((long long)task->max_questions, 5, "questions");
    ok(task->history_until_split, "by last: the history ends at the split");
    const brew_actions *actions = brew_log_actions(task, 0);
    ok(actions->list[0].positive && !actions->list[1].positive, "the positive action");
    is_int(brew_actions_find(actions, "4", 1), 0, "4 is liked");
    is_int(brew_actions_find(actions, "4.5", 3), 0, "4.5 is liked");
    is_int(brew_actions_find(actions, "3.9999", 6), 1, "3.9999 is not");
    is_int(brew_actions_find(actions, "good", 4), -1, "a word fits no range");
    is_int(brew_actions_find(actions, "", 0), -1, "nothing fits no range");
    is_int((long long)task->item_tables[0].columns.n, 1,
           "one column of the items is used by both templates");
    brew_task_free(task);
}

// Puts `to` for `from` in the good task and expects a complaint at this line with these words.
static void refuses(const char *from, const char *to, int line, const char *words) {
    const char *at = strstr(good, from);
    if (!at) {
        ok(false, "the good task holds %s", from);
        return;
    }
    brew_buf text = {0};
    brew_buf_add(&text, good, (size_t)(at - good));
    brew_buf_adds(&text, to);
    brew_buf_adds(&text, at + strlen(from));
    brew_err err;
    brew_task *task = load(text.ptr, text.len, &err);
    char place[300];
    snprintf(place, sizeof place, "%s:%d:", path, line);
    ok(!task && err.code == BREW_USAGE && strstr(err.text, words) &&
           !strncmp(err.text, place, strlen(place)),
       "%s", to);
    if (tap_failed && (!strstr(err.text, words) || strncmp(err.text, place, strlen(place))))
        printf("# %s\n", err.text);
    brew_task_free(task);
    brew_buf_release(&text);
}

#define FEATURE(keys, words)                                                                     \
    refuses("\"history\":", "\"features\": {\"x\": {\"of\": \"item\", " keys "}}, \"history\":", \
            16, words)

static void test_refused(void) {
    refuses("\"task\"", "\"tusk\"", 2, "\"tusk\" is not a known key");
    refuses("\"task\": \"movies\",", "", 1, "lacks the key \"task\"");
    refuses("\"movies\"", "\"a/b\"", 2, "must be made of letters");
    refuses("\"movies\"", "7", 2, "\"task\" must be a string, not");
    refuses("\"movies\"", "\"\"", 2, "must not be empty");
    refuses("\"member\"", "\"user\"", 4, "\"events.user\" is not a known key");
    refuses("\"item\": \"movieId\",", "", 3, "\"events\" lacks the key \"item\"");
    refuses("\"time_unit\": \"s\"", "\"time_unit\": \"min\"", 6, "must be one of: s ms iso8601");
    refuses(", \"value\": \"rating\"", "", 10, "\"events.value\" names no column");
    refuses("\"/abs/movies.csv\"", "[]", 8, "\"items.file\" must be a string, not");
    refuses(", \"id\": \"movieId\"", ", \"id\": \"movieId\", \"valid_from\": 1", 8,
            "\"items.valid_from\" must be a string");
    refuses(", \"id\": \"movieId\"", "", 8, "\"items\" lacks the key \"id\"");
    refuses("\"min\": 4", "\"min\": \"4\"", 10, "\"actions[0].min\" must be a number");
    refuses("\" No\"", "\" N\\no\"", 12, "\"actions[1].label\" must not hold a control");
    refuses("\" No\"", "\" Yes\"", 12, "is that of action 0 too");
    refuses("\"not\"", "\"liked\"", 11, "\"actions[1].name\" is that of action 0 too");
    refuses("\"below\": 4", "\"over\": 4", 12, "\"actions[1].over\" is not a known key");
    refuses(", \"min\": 4", "", 11, "is never reached");
    refuses(", \"min\": 4", ", \"min\": 4, \"values\": [\"x\"]", 10, "\"values\" and a range");
    refuses(", \"min\": 4", ", \"values\": []", 10, "\"actions[0].values\" must not be empty");
    refuses(", \"min\": 4", ", \"values\": [\"x\", null]", 10, "\"actions[0].values[1]\" must be");
    refuses("[\"liked\"]", "[\"hated\"]", 14, "\"positive[0]\" must be the name of an action");
    refuses("[\"liked\"]", "[\"liked\", \"not\"]", 14, "must name some of the 2 actions");
    refuses("[\"liked\"]", "[]", 14, "must name some of the 2 actions");
    refuses("\"{title}:\"", "\"{title:\"", 15, "\"templates.question\" has the \"{\"");
    refuses("\"{title}:\"", "\"{title}\\n\"", 15, "must not hold a newline");
    refuses("\"Did they?\"", "\"{name}\"", 15, "placeholder {name}, but there is no \"members\"");
    refuses("\"{title}:\"", "\"{member.x}\"", 15, "but there is no \"members\"");
    refuses("\"question\"", "\"qestion\"", 15, "\"templates.qestion\" is not a known key");
    refuses(", \"question\": \"{title}:\"", "", 15, "\"templates\" lacks the key \"question\"");
    const char *at = "\"history\":"; // features and offsets, put before it on line 16
    refuses(at, "\"features\": [], \"history\":", 16, "\"features\" must be an object");
    refuses(at, "\"features\": {\"x\": 1}, \"history\":", 16, "\"features.x\" must be an object");
    refuses(at, "\"features\": {\"x\": {}}, \"history\":", 16,
            "\"features.x\" lacks the key \"of\"");
    refuses(at, "\"features\": {\"\": {\"of\": \"item\"}}, \"history\":", 16,
            "a name that is empty");
    FEATURE("\"actions\": [\"x\"]", "\"features.x.actions[0]\" must be the name");
    FEATURE("\"actions\": []", "\"features.x.actions\" must not be empty");
    FEATURE("\"percentiles\": [50]", "\"features.x\" needs 2 words for 1 percentiles, not 0");
    FEATURE("\"percentiles\": []", "holds 0 numbers, not from 1");
    FEATURE("\"percentiles\": [50, 50]", "\"features.x.percentiles[1]\" must lie between");
    FEATURE("\"percentiles\": [100]", "\"features.x.percentiles[0]\" must lie between");
    FEATURE("\"percentiles\": [true]", "\"features.x.percentiles[0]\" must be a number, not true");
    FEATURE("\"words\": [\"a\"]", "\"features.x.words\" needs 5 words for 4 percentiles, not 1");
    FEATURE("\"words\": [1, 2, 3, 4, 5]", "\"features.x.words[0]\" must be a string");
    FEATURE("\"words\": [\"a\\n\", \"\", \"\", \"\", \"\"]", "must not hold a control character");
    FEATURE("\"none\": 1", "\"features.x.none\" must be a string");
    FEATURE("\"window_days\": 1e-12", "\"features.x.window_days\" is less than a millisecond");
    FEATURE("\"lag_days\": -1", "\"features.x.lag_days\" is -1, not from 0");
    FEATURE("\"as_of\": \"split\", \"lag_days\": 1", "takes no window and no lag");
    FEATURE("\"edges\": 1", "\"features.x.edges\" is not a known key");
    refuses(at, "\"candidates\": {\"requests\": \"r\"}, \"history\":", 16,
            "\"candidates.requests\" is not a known key");
    refuses(at, "\"candidates\": {\"context\": 1}, \"history\":", 16,
            "\"candidates.context\" must be true or false, not");
    refuses(at, "\"offsets\": {}, \"history\":", 16, "\"offsets\" lacks the key \"of\"");
    refuses(at, "\"offsets\": {\"of\": \"all\"}, \"history\":", 16,
            "must be one of: item member member_item");
    refuses("\"max\": 50", "\"max\": -1", 16, "\"history.max\" is -1, not from 0");
    refuses("\"max\": 50", "\"max\": 1.5", 16, "\"history.max\" must be a whole number");
    refuses("\"max\": 5}", "\"max\": 0}", 17, "\"questions.max\" is 0, not from 1");
    refuses("\"by\": \"last\"", "\"by\": \"last\", \"gap\": \"1d\"", 18,
            "\"split.gap\" needs a split by \"time\"");
    refuses("\"test\": 0.2", "\"test\": 0.2, \"hold_out\": {\"items\": 2}", 18,
            "\"split.hold_out.items\" is 2, not from 0 to 1");
    refuses("\"last\"", "\"first\"", 18, "\"split.by\" must be one of: time last");
    refuses("\"test\": 0.2", "\"test\": 1.2", 18, "\"split.test\" is 1.2, not from 0 to 1");
    refuses("\"test\": 0.2", "\"test\": 0.2, \"train\": 0.7", 18, "a sum of 0.9, not 1");
    refuses("\"test\": 0.2", "\"valid\": 0.2", 18, "needs \"test\"");
    refuses("\"test\": 0.2", "\"test_from\": 7", 18, "takes shares, not times");
    refuses("\"last\", \"test\": 0.2", "\"time\", \"test_from\": \"2015-13-01\"", 18,
            "\"split.test_from\" must be a time");
    refuses("\"last\", \"test\": 0.2", "\"time\", \"test_from\": 1, \"valid_from\": 2", 18,
            "is later than");
}

// A log whose rows stand for its times has no lengths of time.
static void test_timeless(void) {
    static const struct {
        const char *from, *to, *words;
    } cases[] = {{"", "", NULL},
                 {"{title}:", "{title}, {gap}:", "placeholder {gap}, but the log no times"},
                 {"{title}:", "{title}, {date}:", "placeholder {date}, but the log no times"},
                 {"\"value\"", "\"window\": 0, \"value\"", "\"events.window\" needs times"},
                 {"\"id\"", "\"valid_from\": \"t\", \"id\"", "\"items.valid_from\" needs times"},
                 {"\"by\": \"last\", \"test\": 0.2", "\"test_from\": 7", "\"split\" needs times"},
                 {"\"by\": \"last\"", "\"gap\": 7", "\"split.gap\" needs times"},
                 {"\"history\":",
                  "\"features\": {\"x\": {\"of\": \"item\", \"window_days\": 3}}, \"history\":",
                  "\"features.x\" needs times"}};
    const char *time = "\"time\": \"timestamp\",\n    \"time_unit\": \"s\"",
               *at = strstr(good, time);
    if (!ok(at != NULL, "the good task has times")) return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        brew_buf text = {0}, changed = {0};
        brew_buf_add(&text, good, (size_t)(at - good));
        brew_buf_adds(&text, "\"time_unit\": \"row\"");
        brew_buf_adds(&text, at + strlen(time));
        const char *place = strstr(text.ptr, cases[i].from);
        brew_buf_add(&changed, text.ptr, (size_t)(place - text.ptr));
        brew_buf_adds(&changed, cases[i].to);
        brew_buf_adds(&changed, place + strlen(cases[i].from));
        brew_err err;
        brew_task *task = load(changed.ptr, changed.len, &err);
        if (!cases[i].words)
            ok(task != NULL, "a task of rows: %s", err.text);
        else
            ok(!task && err.code == BREW_USAGE && strstr(err.text, cases[i].words), "%s: %s",
               cases[i].words, err.text);
        brew_task_free(task);
        brew_buf_release(&text);
        brew_buf_release(&changed);
    }
}

// Every beginning of the good task is refused, in words that hold none of it.
static void test_cut(void) {
    size_t wrong = 0, len = strlen(good) - 1; // without the last newline it is whole
    for (size_t cut = 0; cut < len; cut++) {
        brew_err err;
        brew_task *task = load(good, cut, &err);
        wrong += task || err.code != BREW_USAGE || strstr(err.text, "ratings");
        brew_task_free(task);
    }
    is_int((long long)wrong, 0, "cut at every byte it is refused");
    brew_err err;
    ok(!load("[]", 2, &err) && strstr(err.text, "not an object"), "not an object: %s", err.text);
    unlink(path);
    ok(!brew_task_load(path, &err) && err.code == BREW_NOINPUT, "no file: %s", err.text);
}

static void time_is(const char *text, enum brew_time_unit unit, long long want) {
    int64_t ms = -1;
    ok(brew_time_parse(text, strlen(text), unit, &ms) && ms == want, "%s is %lld ms", text, want);
    if (ms != want) printf("# got %lld\n", (long long)ms);
}

static void no_time(const char *text, enum brew_time_unit unit) {
    int64_t ms;
    ok(!brew_time_parse(text, strlen(text), unit, &ms), "'%s' is no time", text);
}

static void test_times(void) {
    time_is("964982703", BREW_TIME_S, 964982703000);
    time_is("0", BREW_TIME_S, 0);
    time_is("-1.5", BREW_TIME_S, -1500);
    time_is("-0.0001", BREW_TIME_S, -1);
    time_is("1.2345", BREW_TIME_S, 1234);
    time_is("964982703123", BREW_TIME_MS, 964982703123);
    time_is("1970-01-01", BREW_TIME_ISO, 0);
    time_is("2000-02-29T23:59:59.999Z", BREW_TIME_ISO, 951868799999);
    time_is("2015-03-31 12:00", BREW_TIME_ISO, 1427803200000);
    time_is("2015-03-31 12:00:00 UTC", BREW_TIME_ISO, 1427803200000);
    time_is("2015-03-31T12:00:00+01:00", BREW_TIME_ISO, 1427799600000);
    time_is("2015-03-31T12:00:00.5-0530", BREW_TIME_ISO, 1427823000500);
    time_is("0001-01-01", BREW_TIME_ISO, -62135596800000);
    time_is("9999-12-31T23:59:59.9999Z", BREW_TIME_ISO, 253402300799999);
    time_is("11/15/2019 8:55:22 AM", BREW_TIME_MDY, 1573808122000);
    time_is("1/2/2020 12:00:00 AM", BREW_TIME_MDY, 1577923200000);
    time_is("1/2/2020 12:30 PM", BREW_TIME_MDY, 1577968200000);
    time_is("01/02/2020 23:59", BREW_TIME_MDY, 1578009540000);
    const char *const bad_mdy[] = {"",
                                   "1/2/2020",
                                   "13/2/2020 1:00",
                                   "2/30/2020 1:00",
                                   "1/2/20 1:00",
                                   "1/2/2020 13:00 PM",
                                   "1/2/2020 0:00 AM",
                                   "1/2/2020 1:00 XM",
                                   "1/2/2020 1:00 AMx",
                                   "1/2/2020 24:00",
                                   "1//2020 1:00"};
    for (size_t i = 0; i < sizeof bad_mdy / sizeof *bad_mdy; i++)
        no_time(bad_mdy[i], BREW_TIME_MDY);
    const char *const bad[] = {"",
                               "2015",
                               "2015-02-29",
                               "2015-13-01",
                               "2015-00-01",
                               "2015-01-32",
                               "2015-01-01T",
                               "2015-01-01T24:00",
                               "2015-1-1",
                               "15-01-01",
                               "2015-01-01T12:00x",
                               "2015-01-01 12",
                               "0000-01-01",
                               "2015-01-01T12:00:00.",
                               "2015-01-01T12:00+",
                               "2015-01-01T12:00 UT",
                               "2015-01-01T12:00 UTC+1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) no_time(bad[i], BREW_TIME_ISO);
    const char *const bad_numbers[] = {"",   "-",   ".5",           "1.",  "1e9",
                                       "1 ", "0x1", "253402300800", "1.2x"};
    for (size_t i = 0; i < sizeof bad_numbers / sizeof *bad_numbers; i++)
        no_time(bad_numbers[i], BREW_TIME_S);
    no_time("1.5", BREW_TIME_MS);
    no_time("9223372036854775808", BREW_TIME_MS);
}

int main(void) {
    const char *dir = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/brew-task-test-%ld.json", dir && *dir ? dir : "/tmp",
             (long)getpid());
    test_good();
    test_refused();
    test_timeless();
    test_cut();
    test_times();
    return tap_done();
}
