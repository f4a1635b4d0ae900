// Hidden-state matching: its loss against central differences, and which layers are whose. Whole models are
// in lib/train/distil_golden_test.c.
#include "train/hidden.h"

#include <math.h>

#include "base/tap.h"

enum { C = 5 };

static void test_row(void) {
    float s[C] = {0.5f, -1, 2, 0, 3}, t[C] = {1, -2, 2, 0.5f, -1}, d[C];
    double off = 0, all = C * 1e-6, worst = 0;
    for (int i = 0; i < C; i++) {
        off += pow((double)s[i] - t[i], 2);
        all += pow((double)t[i], 2);
    }
    is_near(brew_hidden_row(s, t, C, 1, NULL), off / all, 1e-15, "the share of what there is");
    brew_hidden_row(s, t, C, 0.5, d);
    for (int i = 0; i < C; i++) {
        float kept = s[i], step = 0x1p-10f;
        s[i] = kept + step;
        double above = brew_hidden_row(s, t, C, 1, NULL);
        s[i] = kept - step;
        double want = 0.5 * (above - brew_hidden_row(s, t, C, 1, NULL)) / (2 * (double)step);
        s[i] = kept;
        worst = fmax(worst, fabs(d[i] - want));
    }
    // a quadratic has no third derivative: what is left is F32
    ok(worst < 1e-6, "the gradient is a central difference within 1e-6 (%.1g)", worst);
    float nothing[C] = {0};
    ok(isfinite(brew_hidden_row(s, nothing, C, 1, d)) && isfinite((double)d[4]) &&
           brew_hidden_row(nothing, nothing, C, 1, NULL) == 0,
       "a teacher's stream of zeros is no end");
    brew_hidden_row(s, t, C, 1, t);
    ok(isfinite((double)t[0]) && t[2] == 0, "the gradient may take the teacher's place");
}

static const char *written(const brew_hidden_map *map) {
    static char text[100];
    int at = 0;
    for (size_t i = 0; i < map->n; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%s%d:%d", i ? "," : "",
                       (int)map->pairs[i].student, (int)map->pairs[i].teacher);
    if (!map->n) text[0] = 0;
    return text;
}

static void finds(const char *student_chain, int64_t student, const char *teacher_chain,
                  int64_t teacher, const char *want, const char *name) {
    brew_err err = {0};
    brew_hidden_map map = {0};
    brew_json *ours = brew_json_parse(student_chain, strlen(student_chain), &err);
    brew_json *theirs = brew_json_parse(teacher_chain, strlen(teacher_chain), &err);
    int rc = brew_hidden_map_find(&map, ours, student, theirs, "T", teacher, &err);
    ok(rc == (want ? 0 : -1) && (want || err.code == BREW_USAGE), "%s", name);
    if (want) is_str(written(&map), want, name);
    brew_hidden_map_release(&map);
    brew_json_free(ours);
    brew_json_free(theirs);
}

#define INPUT(sha256, from) "\"inputs\":[{\"role\":\"model\",\"sha256\":\"" sha256 "\"" from "}]"
#define CUT(kept, sha256, from) \
    "{\"tool\":\"brew-prune\",\"arguments\":{\"layers_kept\":[" kept "]}," INPUT(sha256, from) "}"
#define TRAINED(sha256, from) "{\"tool\":\"brew-train\",\"arguments\":{}," INPUT(sha256, from) "}"

static void test_maps(void) {
    brew_err err = {0};
    brew_hidden_map map = {0};
    ok(!brew_hidden_map_parse(&map, "1:2,2:4,3:4", 3, 4, &err), "a map is read");
    is_str(written(&map), "1:2,2:4,3:4", "as it is");
    brew_hidden_map_release(&map);
    finds("[]", 3, "[]", 3, "1:1,2:2,3:3", "as many layers: the same");
    finds("[]", 2, "[]", 3, NULL, "of fewer nothing is known");
    finds("[" CUT("0,2,3", "T", "") "]", 3, "[]", 6, "1:2,2:3,3:6", "a cut of the teacher");
    finds("[" CUT("0,1,2", "T", "") "]", 3, "[]", 3, "1:1,2:2,3:3", "a cut of heads only");
    finds("[" CUT("0,2,3", "T", "") "," TRAINED("cut", ",\"from\":0") "]", 3, "[]", 6,
          "1:2,2:3,3:6", "trained afterwards");
    finds("[" CUT("0,2,3,5", "T", "") "," CUT("1,2,3", "cut", ",\"from\":0") "]", 3, "[]", 6,
          "1:3,2:5,3:6", "a cut of a cut");
    finds("[" CUT("0,2", "B", "") "]", 2, "[" TRAINED("B", "") "]", 4, "1:2,2:4",
          "a cut of what the teacher was trained from");
    finds("[" CUT("0,2", "B", "") "]", 2, "[" CUT("0,1,3", "B", "") "]", 3, NULL,
          "not if the teacher is a cut, too");
    finds("[" CUT("0,2", "X", "") "]", 2, "[" TRAINED("B", "") "]", 4, NULL, "of a stranger");
    finds("[" CUT("0", "T", "") "]", 2, "[]", 4, NULL, "layers that are not told");
    finds("[" CUT("2,0", "T", "") "]", 2, "[]", 4, NULL, "that do not ascend");
    finds("[" CUT("0,7", "T", "") "]", 2, "[]", 4, NULL, "that the teacher has not");
    finds("[" CUT("0,\"x\"", "T", "") "]", 2, "[]", 4, NULL, "that are no numbers");
    finds("[" TRAINED("X", ",\"from\":0") "]", 2, "[]", 4, NULL, "a chain that bites its tail");
    finds("[{\"inputs\":[3,{\"role\":4},{\"role\":\"model\"}]}]", 2, "[]", 4, NULL,
          "a chain of something else");
}

int main(void) {
    test_row();
    test_maps();
    return tap_done();
}
