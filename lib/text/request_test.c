// The prompt record: what is accepted, what is refused and in which words, and its way to a star.
//
// Tokens come from a tokenizer of the test's own, in which they can be read off the text: a word with
// its leading space is one token, a newline is one, and so is each of ".,:()".
#include "text/request.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/tap.h"

static brew_intern words;

static size_t word_end(const char *text, size_t len, size_t at) {
    size_t end = at + 1;
    if (strchr("\n.,:()", text[at])) return end;
    while (end < len && !strchr(" \n.,:()", text[end])) end++;
    return end;
}

int brew_tokenizer_encode(const brew_tokenizer *tok, brew_tok_scratch *scratch, const char *text,
                          size_t len, int flags, brew_ids *out, brew_err *err) {
    (void)tok, (void)scratch, (void)flags, (void)err;
    for (size_t at = 0, end; at < len; at = end) {
        end = word_end(text, len, at);
        BREW_GROW(out->ids, out->n + 1, out->cap);
        BREW_GROW(out->offsets, out->n + 1, out->offsets_cap);
        out->ids[out->n] = 100 + (int32_t)brew_intern_put(&words, text + at, end - at);
        out->offsets[out->n++] = (int64_t)at;
    }
    return 0;
}

int32_t brew_tokenizer_bos(const brew_tokenizer *tok) {
    (void)tok;
    return 1;
}

void brew_ids_release(brew_ids *ids) {
    free(ids->ids);
    free(ids->offsets);
    *ids = (brew_ids){0};
}

static const brew_tokenizer *const tok = (const brew_tokenizer *)&words;

static int32_t word(const char *text) {
    return 100 + (int32_t)brew_intern_put(&words, text, strlen(text));
}

static brew_err err;
static brew_request rq;

static bool parse(const char *line) {
    err = (brew_err){0};
    return !brew_request_parse(&rq, line, strlen(line), &err);
}

#define START \
    "{\"query\":\"a b\\nc Yes\",\"items\":[\"x\",\"y z\"],\"label_tokens\":[\" Yes\",\" No\"]"

static void test_accepts(void) {
    ok(parse(START "}"), "the least record");
    is_int((long long)rq.n_items, 2, "two items");
    is_str(rq.items[1].text, "y z", "an item's text");
    is_int(rq.targets[1], -1, "a missing target is unknown");
    ok(rq.weights[0] == 1 && rq.offsets[1] == 0, "weights and offsets by default");
    is_str(rq.meta.ptr, "{\"label_tokens\":[\" Yes\",\" No\"]}",
           "texts do not reach the meta line");
    ok(brew_request_has_text(&rq), "it has text");
    ok(parse(START ",\"answered\":[[5,0],[8,1]],\"lines\":[0,4] , \"x\\u0079\":{ \"a\" : 1.50 },"
                   "\"meta\":{\"shown\":2}}"),
       "unknown members and spaces");
    is_str(rq.meta.ptr,
           "{\"label_tokens\":[\" Yes\",\" No\"],\"x\\u0079\":{ \"a\" : 1.50 "
           "},\"meta\":{\"shown\":2}}",
           "the meta line keeps them byte for byte");
    is_int(rq.shown, 2, "shown");
    ok(parse("{\"qu\\u0065ry\":\"a\",\"items\":[],\"label_token_ids\":[1]}"),
       "an escaped key, no items");
    is_str(rq.meta.ptr, "{\"label_token_ids\":[1]}", "an escaped key is dropped all the same");
    ok(parse("{\"query\":[1,2],\"items\":[[3],[4]],\"label_token_ids\":[[1,2],[3]],"
             "\"positive\":[[1],[0]],\"targets\":[1,0],\"answered\":[[1,0,1]]}"),
       "ids, a label set and positives for each item");
    ok(!brew_request_has_text(&rq) && rq.sets[1].n == 1, "no text in it");
    ok(parse("{\"query\":\"q\",\"query_ids\":[7],\"items\":[\"a\"],\"items_ids\":[[8]],"
             "\"label_tokens\":[\"n\"],\"label_ids\":[9]}"),
       "texts and ids");
    ok(rq.query.ids && rq.items[0].ids[0] == 8 && rq.sets[0].labels[0].ids[0] == 9, "ids win");
    ok(parse("{\"text\":\"hello\",\"k\":1}") && rq.is_plain, "a plain text");
    is_str(rq.meta.ptr, "{\"k\":1}", "and its meta line");
    ok(parse("{\"ids\":[]}") && rq.is_plain && !brew_request_has_text(&rq), "plain ids");
}

static void refuse(const char *line, const char *says) {
    bool accepted = parse(line);
    ok(!accepted && err.code == BREW_DATA, "refused: %s", says);
    if (!ok(strstr(err.text, says), "in these words")) printf("# got: %s\n", err.text);
    ok(!strstr(err.text, "CANARY"), "without its contents");
}

static void test_refuses_basics(void) {
    refuse("", "");
    refuse("[]", "an array, not an object");
    refuse(START ",\n\"CANARY\":1}", "more than one line");
    refuse("{}", "no query");
    refuse("{\"query\":\"CANARY\"}", "no items");
    refuse("{\"query\":1,\"items\":[]}", "query is ");
    refuse("{\"query\":[1,\"CANARY\"],\"items\":[]}", "query[1] is a string, not a token id");
    refuse("{\"query\":[1,-1],\"items\":[]}", "] is no token id: it is outside");
    refuse("{\"query\":[2147483648],\"items\":[]}", "] is no token id: it is outside");
    refuse("{\"query\":\"\",\"items\":\"CANARY\"}", "items is a string, not an array");
    refuse("{\"query\":\"\",\"items\":[\"a\",\"\"]}", "items[1] is empty");
    refuse("{\"query\":\"\",\"items\":[[]]}", "items[0] is empty");
    refuse("{\"query\":\"\",\"items\":[null]}", "items[0] is ");
    refuse("{\"query\":\"\",\"items\":[\"a\"],\"items_ids\":[[1],[2]]}",
           "items holds 1, items_ids 2");
    refuse("{\"query\":\"\",\"items\":[\"a\"]}", "neither label_tokens nor label_token_ids");
    refuse("{\"query\":\"\",\"items\":[\"a\"],\"label_tokens\":[]}", "empty label set");
    refuse("{\"query\":\"\",\"items\":[\"a\"],\"label_tokens\":[\"\"]}",
           "label_tokens[0] is empty");
    refuse("{\"query\":\"\",\"items\":[\"a\"],\"label_tokens\":[3]}", "label_tokens[0] is ");
    refuse("{\"query\":\"\",\"items\":[\"a\"],\"label_tokens\":[[\"y\"],[\"n\"]]}",
           "2 label sets for 1 items");
    refuse("{\"query\":\"\",\"items\":[\"a\"],\"label_token_ids\":[\"CANARY\"]}",
           "label_token_ids[0] is a string");
    refuse("{\"query\":\"\",\"items\":[\"a\"],\"label_tokens\":[\"y\"],\"label_ids\":[1,2]}",
           "label_ids has 2 labels");
    refuse("{\"text\":7}", "text is ");
    refuse("{\"query\":\"\",\"items\":[\"a\",[1,true]]}",
           "items[1][1] is true or false, not a token id");
    refuse("{\"ids\":[1.5]}", "ids[0] is ");
}

static void test_refuses_fields(void) {
    refuse(START ",\"targets\":[0]}", "targets holds 1 for 2 items");
    refuse(START ",\"targets\":[0,2]}", "targets[1] is 2, its label set has 2 labels");
    refuse(START ",\"targets\":[-2,0]}", "targets[0] is -2");
    refuse(START ",\"targets\":[0,0.0]}", "targets[1] is ");
    refuse(START ",\"positive\":0}", "positive is ");
    refuse(START ",\"positive\":[]}", "positive is empty");
    refuse(START ",\"positive\":[2]}", "positive holds 2, label set 0 has 2 labels");
    refuse(START ",\"positive\":[0,0]}", "positive holds 0 twice");
    refuse(START ",\"positive\":[[0]]}", "positive holds 1 lists for 2 items");
    refuse(START ",\"positive\":[\"CANARY\"]}", "positive[0] is a string");
    refuse(START ",\"weights\":[1,-1]}", "weights[1] is not a number from 0 to 1e30");
    refuse(START ",\"weights\":[1,1e39]}", "weights[1] is not a number from 0 to 1e30");
    refuse(START ",\"weights\":[1]}", "weights holds 1 for 2 items");
    refuse(START ",\"weights\":[1,\"CANARY\"]}", "weights[1] is a string");
    refuse(START ",\"sample_rates\":[1,0]}", "sample_rates[1] is not a number from 1e-12 to 1");
    refuse(START ",\"sample_rates\":[1.5,1]}", "sample_rates[0] is not a number from 1e-12 to 1");
    refuse(START ",\"offsets\":[0,-1e39]}", "offsets[1] is not a finite number");
    refuse(START ",\"item_ids\":[1]}", "item_ids holds 1 for 2 items");
    refuse(START ",\"item_ids\":[\"1\",null]}", "item_ids[1] is ");
    refuse(START ",\"item_meta\":[]}", "item_meta is an array, not an object");
    refuse(START ",\"item_meta\":{\"CANARY\":[1]}}", "item_meta[0] holds 1 for 2 items");
    refuse(START ",\"item_meta\":{\"p\":[1,2],\"CANARY\":1}}", "item_meta[1] is ");
    refuse(START ",\"id\":[]}", "id is an array");
    refuse(START ",\"meta\":[]}", "meta is an array, not an object");
    refuse(START ",\"meta\":{\"shown\":\"CANARY\"}}", "meta: ");
    refuse(START ",\"meta\":{\"shown\":-1}}", "meta: ");
    refuse(START ",\"lines\":{}}", "lines is an object");
    refuse(START ",\"lines\":[0,0]}", "lines[1] points at 0, which is not behind 0");
    refuse(START ",\"lines\":[9]}", "lines[0] points at 9, the query holds 9 bytes");
    refuse(START ",\"lines\":[-1]}", "lines[0] points at -1");
    refuse(START ",\"answered\":[5]}", "answered[0] is not [offset, label]");
    refuse(START ",\"answered\":[[5]]}", "answered[0] is not [offset, label]");
    refuse(START ",\"answered\":[[5,2]]}", "answered[0] names label 2 of 2");
    refuse(START ",\"answered\":[[5,0,0,1,1]]}", "answered[0] is not [offset, label]");
    refuse(START ",\"answered\":[[5,0,0,\"x\"]]}", "answered[0][3] is a string, not a number");
    refuse(START ",\"answered\":[[5,0,0,1e39]]}", "answered[0][3] is not a finite number");
    refuse(START ",\"answered\":[[5,0,1]]}", "answered[0] names label set 1 of 1");
    refuse(START ",\"answered\":[[5,0],[5,0]]}", "answered[1] points at 5, which is not behind 5");
    refuse(START ",\"answered\":[[5,\"CANARY\"]]}", "answered[0][1] is a string, not an integer");
    refuse("{\"query\":\"\\u00e9 "
           "Yes\",\"items\":[\"x\"],\"label_tokens\":[\"n\"],\"answered\":[[1,0]]}",
           "answered[0] points at 1, inside a character");
    refuse("{\"query\":[5,6],\"items\":[\"x\"],\"label_tokens\":[\"n\"],\"answered\":[[2,0]]}",
           "the query holds 2 tokens");
}

static void test_cut_records(void) {
    const char *whole = START ",\"answered\":[[5,0]],\"lines\":[0],\"meta\":{\"shown\":1}}";
    size_t refused = 0, len = strlen(whole);
    for (size_t n = 0; n < len; n++) {
        char *cut = malloc(n ? n : 1); // exactly as long, so that reading beyond shows
        memcpy(cut, whole, n);
        refused += brew_request_parse(&rq, cut, n, &err) < 0;
        free(cut);
    }
    ok(refused == len, "a record cut at any byte is refused");
}

static brew_star star;
static brew_encode_counts counts;
static brew_encode_options options = {.bos = true};

static bool encode(const char *line) {
    if (!parse(line)) return false;
    brew_star_reset(&star);
    counts = (brew_encode_counts){0};
    return !brew_request_encode(&rq, tok, NULL, &options, &star, &counts, &err) &&
           !brew_star_check(&star, 0, &err);
}

// "I.\n" then four history lines of 8 tokens, then "Now:".
#define HISTORY                                                                                   \
    "{\"query\":\"I.\\nHeat (1995): Yes\\nBig (1988): No\\nJaws (1975): Yes\\nTop (1986): "       \
    "Yes\\nNow:\","                                                                               \
    "\"items\":[\"Alien (1979):\",\"X:\"],\"label_tokens\":[\" Yes\",\" No\"],\"targets\":[0,1]," \
    "\"lines\":[3,20,35,52],\"answered\":[[15,0],[31,1],[47,0],[63,0]],"                          \
    "\"meta\":{\"history\":9,\"shown\":4}}"

static void test_encode(void) {
    if (!ok(encode(HISTORY), "a record with history")) printf("# %s\n", err.text);
    is_int(brew_star_query_len(&star, 0), 1 + 3 + 4 * 8 + 2, "query with BOS");
    is_int(star.ids[0], 1, "which comes first");
    is_int((long long)star.n_answers, 6, "two items and four past answers");
    is_int(star.answers[0], 38 + 5, "the first item's last row");
    is_int(star.answers[2], 4 + 5, "the first past answer's row is the one before its label");
    is_int(star.ids[star.answers[2] + 1], word(" Yes"), "where the label stands");
    is_int(star.targets[3], 1, "the second past answer was No");
    is_int((long long)counts.tokens, 38 + 6 + 2, "tokens counted");
    is_int((long long)counts.history_answers, 4, "history counted");
    options.bos = false;
    ok(encode(HISTORY) && star.answers[2] == 8, "without BOS everything is one row earlier");
    options.bos = true;
    ok(encode("{\"query\":\" Yes Yes b\",\"items\":[\"x\"],\"label_tokens\":[\" Yes\",\" No\"],"
              "\"answered\":[[0,0],[2,0],[4,1],[8,0]]}"),
       "past answers that do not stand");
    is_int((long long)counts.history_answers, 1, "one stands");
    is_int((long long)counts.answers_dropped, 3, "inside a token, another label, not a label");
    options.bos = false;
    ok(encode("{\"query\":\" Yes\",\"items\":[\"x\"],\"label_tokens\":[\" "
              "Yes\"],\"answered\":[[0,0]]}") &&
           counts.answers_dropped == 1,
       "nor one at row 0, which nothing precedes");
    options.bos = true;
    ok(!encode("{\"query\":\"\",\"items\":[\"x\"],\"label_tokens\":[\"a\",\"not one\"]}"),
       "a long label");
    is_str(err.text, "label 1 of label set 0 is 2 tokens, not one", "is named");
    ok(!encode("{\"query\":\"\",\"items\":[\"x\"],\"label_tokens\":[\"a\",\"a\"]}"),
       "a repeated label");
    is_str(err.text, "labels 0 and 1 of label set 0 are the same token", "is named");
    is_int((long long)(star.n_requests + star.n_sets + star.meta.len), 0, "and leaves no trace");
    ok(encode("{\"query\":\"q\",\"items\":[\"x\",\"y\",\"z\"],\"label_tokens\":[[\"a\",\"b\"],["
              "\"a\",\"b\"],[\"c\"]],"
              "\"targets\":[1,0,0],\"offsets\":[0,0.5,0],\"weights\":[1,2,0]}"),
       "a label set for each item");
    ok(star.n_sets == 2 && star.answer_set[2] == 1 && star.offsets[1] == 0.5f &&
           star.weights[1] == 2,
       "equal ones are shared");
    options.vocab = 9;
    ok(encode("{\"query\":[8],\"items\":[[8]],\"label_token_ids\":[8]}"),
       "ids below the vocabulary's size");
    ok(!encode("{\"query\":[8],\"items\":[[8,9]],\"label_token_ids\":[8]}"), "and not below");
    is_str(err.text, "an item holds the token id 9, the vocabulary has 9", "in these words");
    options.vocab = 0;
    ok(parse(HISTORY) && brew_request_encode(&rq, NULL, NULL, &options, &star, &counts, &err) < 0,
       "text without a tokenizer is refused");
}

static void test_fit(void) {
    options.max_query = 38;
    ok(encode(HISTORY) && counts.lines_dropped == 0, "38 tokens fit 38");
    options.max_query = 37;
    ok(!encode(HISTORY), "but not 37");
    is_str(err.text, "the query has 38 tokens, beyond the limit of 37", "and says so");
    options.fit = BREW_FIT_OLDEST;
    ok(encode(HISTORY) && counts.lines_dropped == 1, "the oldest line goes");
    is_int(brew_star_query_len(&star, 0), 30, "30 tokens are left");
    is_int((long long)counts.history_answers, 3, "with three past answers");
    is_int((long long)counts.answers_dropped, 0, "the fourth is gone with its line");
    is_int(star.answers[2], 4 + 5, "the others have moved");
    is_int(star.targets[2], 1, "and keep their labels");
    ok(strstr(star.meta.ptr, "\"meta\":{\"history\":9,\"shown\":3}"), "shown is one less");
    options.max_query = 19;
    ok(encode(HISTORY) && counts.lines_dropped == 3, "three lines go");
    options.max_query = 6;
    ok(encode(HISTORY) && counts.lines_dropped == 4, "all lines go");
    is_int(star.ids[4], word("Now"), "the text behind the last line stays");
    options.max_query = 5;
    ok(!encode(HISTORY), "five are too few");
    is_str(
        err.text,
        "the query has 38 tokens and may have 5; without its 4 oldest history lines it still has 6",
        "and it says so");
    options.max_query = 0;
    options.max_span = 37;
    ok(encode(HISTORY) && brew_star_span(&star, 0) == 30 + 6,
       "query and longest item fit the span");
    options.fit = BREW_FIT_REJECT;
    ok(!encode(HISTORY), "or are refused");
    is_str(err.text, "the query has 38 tokens and the longest item 6, beyond the limit of 37",
           "saying");
    options.max_span = 5;
    ok(!encode(HISTORY) && strstr(err.text, "an item has 6 tokens"), "an item beyond the span");
    options = (brew_encode_options){.max_query = 4, .fit = BREW_FIT_OLDEST};
    ok(encode(
           "{\"query\":[1,2,3,4,5,6,7],\"items\":[[9]],\"label_token_ids\":[4,7],\"lines\":[1,3,5],"
           "\"answered\":[[3,0],[6,1]],\"meta\":{\"shown\":5}}"),
       "lines of ids");
    ok(counts.lines_dropped == 2 && brew_star_query_len(&star, 0) == 3 && star.ids[1] == 6,
       "two go");
    ok(counts.history_answers == 1 && star.answers[1] == 1, "the answer behind them stays");
    ok(strstr(star.meta.ptr, "\"meta\":{}"), "shown was not the number of lines: it goes");
    options = (brew_encode_options){.bos = true};
}

static void write_ids(brew_buf *out, const char *line) {
    brew_ids query = {.with_offsets = true};
    options.query = &query;
    brew_buf_reset(out);
    if (ok(encode(line), "encoded"))
        brew_request_write_ids(&rq, line, strlen(line), &star, &query, counts.lines_dropped, out);
    options.query = NULL;
    brew_ids_release(&query);
}

static void test_write(void) {
    brew_buf out = {0}, again = {0};
    write_ids(
        &out,
        "{\"a\":[1, 2],\"query\":\"x\\nH: Yes\\nb\",\"items\":[\"i\"],\"label_tokens\":[\" Yes\"],"
        "\"answered\":[[4,0,0,-0.5],[5,0]],\"lines\":[2,3]}");
    brew_buf want = {0};
    brew_buf_addf(
        &want,
        "{\"a\":[1, 2],\"query\":\"x\\nH: Yes\\nb\",\"items\":[\"i\"],\"label_tokens\":[\" Yes\"],"
        "\"answered\":[[5,0,0,-0.5]],\"lines\":[3,4],\"query_ids\":[1,%d,%d,%d,%d,%d,%d,%d],"
        "\"items_ids\":[[%d]],\"label_ids\":[%d]}",
        word("x"), word("\n"), word("H"), word(":"), word(" Yes"), word("\n"), word("b"), word("i"),
        word(" Yes"));
    is_str(out.ptr, want.ptr, "ids are added, offsets become indices");
    write_ids(&again, out.ptr);
    is_str(again.ptr, out.ptr, "which are read as they were written");
    options.max_query = 31;
    options.fit = BREW_FIT_OLDEST;
    write_ids(&out, HISTORY);
    ok(strstr(out.ptr, "\"query\":\"I.\\nBig (1988)") && strstr(out.ptr, "\"lines\":[4,12,20]") &&
           strstr(out.ptr, "\"answered\":[[10,1],[18,0],[26,0]]") && strstr(out.ptr, "\"shown\":3"),
       "a dropped line is gone from text, lines, answers and shown");
    options.max_query = 22;
    brew_buf_reset(&again);
    write_ids(&again, out.ptr);
    ok(strstr(again.ptr, "\"lines\":[4,12]") && !strstr(again.ptr, "\"query\":"),
       "dropped again from ids: the text, which no longer fits them, goes");
    options = (brew_encode_options){.bos = true};
    write_ids(&out, "{\"ids\":[4,5],\"k\":0}");
    is_str(out.ptr, "{\"k\":0,\"ids\":[4,5]}", "plain ids");
    brew_buf_release(&want);
    brew_buf_release(&out);
    brew_buf_release(&again);
}

int main(void) {
    test_accepts();
    test_refuses_basics();
    test_refuses_fields();
    test_cut_records();
    test_encode();
    test_fit();
    test_write();
    brew_request_release(&rq);
    brew_star_release(&star);
    brew_intern_release(&words);
    return tap_done();
}
