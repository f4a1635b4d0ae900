// Scores: the softmax, offsets, the record that carries them, and what is refused.
#include "rank/score.h"

#include <math.h>

#include "base/tap.h"
#include "rank/calibration.h"

static void test_softmax(void) {
    double p[3];
    float even[3] = {-90, -90, -90}, logits[3] = {1, 2, 3};
    uint8_t last_two[3] = {0, 1, 1};
    brew_score_softmax(even, 3, NULL, 0, p);
    ok(p[0] == p[2] && fabs(p[0] - 1.0 / 3) < 1e-16, "equal logits, far from 0");
    brew_score_softmax(logits, 3, NULL, 0, p);
    // python3 -c "import math; e=[math.exp(x) for x in (1,2,3)]; print([x/sum(e) for x in e])"
    is_near(p[0], 0.09003057317038046, 1e-16, "three labels, the first");
    is_near(p[2], 0.6652409557748219, 2e-16, "and the last");
    double odds = p[0] / (1 - p[0]), group = (p[1] + p[2]) / p[0], ratio = p[2] / p[1];
    brew_score_softmax(logits, 3, NULL, 0.75, p);
    is_near(log(p[0] / (1 - p[0])) - log(odds), 0.75, 1e-15, "an offset moves the log-odds");
    brew_score_softmax(logits, 3, last_two, -0.5, p);
    is_near(log((p[1] + p[2]) / p[0]) - log(group), -0.5, 1e-15, "of the positive labels together");
    is_near(p[2] / p[1], ratio, 1e-14, "and leaves the odds among them");
    float huge[2] = {3e38f, -3e38f};
    brew_score_softmax(huge, 2, NULL, 0, p);
    ok(p[0] == 1 && p[1] == 0, "huge logits");
}

// One request: two items with two labels each.
static float logits[4] = {0, 0, 1, 1};
static int64_t splits[3] = {0, 2, 4};
static float lse[2] = {2, 3};

static const brew_calibration *calibration;

static void write_is(const char *meta, float offset, bool with_lse, const char *arithmetic,
                     const char *want) {
    brew_star star = {0};
    brew_forward_result result = {logits, splits, with_lse ? lse : NULL, 0, 0, 0};
    int32_t ids[2] = {1, 2};
    brew_star_add_request(&star);
    for (int64_t i = 0; i < 2; i++) {
        brew_star_add_item(&star);
        brew_star_add_ids(&star, ids, 1);
        brew_star_add_answer(&star, i, brew_star_add_set(&star, ids, 2), -1, 1, i ? offset : 0);
    }
    brew_star_add_meta(&star, meta, strlen(meta));
    brew_buf out = {0};
    brew_err err = {0};
    const brew_score_options options = {.arithmetic = arithmetic, .calibration = calibration};
    int failed = brew_score_write(&star, 0, &result, &options, &out, &err);
    is_str(failed ? err.text : out.ptr, want, "a score record");
    brew_buf_release(&out);
    brew_star_release(&star);
}

int main(void) {
    test_softmax();
    write_is("{}", 0, false, NULL, "{\"scores\":[[0.5,0.5],[0.5,0.5]]}\n");
    write_is("{\"id\": 7,\"scores\":[9],\"l\\u006fgprobs\":1,\"z\":1e2}", 0, false, "f32/ref",
             "{\"id\":7,\"z\":1e2,\"arithmetic\":\"f32/ref\",\"scores\":[[0.5,0.5],[0.5,0.5]]}\n");
    brew_curve curves[] = {{"", 0, 1}, {"t", log(3), 1}};
    const brew_calibration by_task = {.questions = "0123", .curves = curves, .n = 2};
    calibration = &by_task;
    write_is("{\"calibrated_on\":1}", 0, false, NULL,
             "{\"calibrated_on\":\"0123\",\"scores\":[[0.5,0.5],[0.5,0.5]]}\n");
    write_is("{\"positive\":[1],\"meta\":{\"task\":\"t\"}}", 0, false, NULL,
             "{\"positive\":[1],\"meta\":{\"task\":\"t\"},\"calibrated_on\":\"0123\","
             "\"scores\":[[0.25,0.75],[0.25,0.75]]}\n");
    write_is("{\"meta\":{\"task\":\"u\"}}", 0, false, NULL,
             "the calibration has no curve for the record's task");
    calibration = NULL;
    write_is("{}", 0, true, NULL,
             "{\"scores\":[[0.5,0.5],[0.5,0.5]],\"logprobs\":[[-2,-2],[-2,-2]]}\n");
    // 1 / (1 + e^-1) and what is left
    write_is("{}", 1, false, NULL,
             "{\"scores\":[[0.5,0.5],[0.7310585786300049,0.2689414213699951]]}\n");
    write_is("{\"positive\":[1]}", -1, false, NULL,
             "{\"positive\":[1],\"scores\":[[0.5,0.5],[0.7310585786300049,0.2689414213699951]]}\n");
    write_is("{\"positive\":[[0],[1]]}", -1, false, NULL,
             "{\"positive\":[[0],[1]],\"scores\":[[0.5,0.5],[0.7310585786300049,0.2689414213699951]"
             "]}\n");
    write_is("{\"positive\":[2]}", 1, false, NULL, "positive names no label of item 0");
    write_is("{\"positive\":[\"CANARY\"]}", 1, false, NULL, "positive names no label of item 0");
    logits[3] = NAN;
    write_is("{}", 0, false, NULL, "the model's logit of label 1 is not finite");
    logits[3] = 1;
    lse[0] = INFINITY;
    write_is("{}", 0, true, NULL, "the model's log-sum-exp is not finite");
    return tap_done();
}
