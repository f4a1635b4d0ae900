// Hidden-state matching: a term of the loss that draws the student's residual stream towards the teacher's,
// channel by channel, so both must be as wide. For a student of fewer layers, first of all.
//
// Of a row after so many layers of each, s the student's C values and t the teacher's:
//
//     |s - t|^2 / (|t|^2 + C 1e-6)
//
// the squared error as a share of what there is: rows and layers whose stream is long (that of the first
// token, most often) weigh no more than others. The term is its mean over all rows and all pairs of layers.
#ifndef BREW_TRAIN_HIDDEN_H
#define BREW_TRAIN_HIDDEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/json.h"
#include "model/learner.h"

// After `student` layers of the student, the stream should be what it is after `teacher` layers of the
// teacher. Ascending by student, each of its layers at most once; both from 1.
typedef struct brew_hidden_pair {
    int64_t student, teacher;
} brew_hidden_pair;
typedef struct brew_hidden_map {
    brew_hidden_pair *pairs;
    size_t n;
} brew_hidden_map;
void brew_hidden_map_release(brew_hidden_map *map);

// "1:2,3:6", for models of so many layers.
int brew_hidden_map_parse(brew_hidden_map *map, const char *text, int64_t student, int64_t teacher,
                          brew_err *err);
// From what made the student: layers that brew-prune cut out of the teacher, or out of what the teacher was
// trained from. Before each layer that was kept, the stream is that of the teacher before it; after
// the last one, that after the teacher's last. Without a cut, and with as many layers: the same layers. The
// chains are models' provenance (io/provenance.h), or NULL. Fails if there is nothing to know it by.
int brew_hidden_map_find(brew_hidden_map *map, const brew_json *student_chain, int64_t student,
                         const brew_json *teacher_chain, const char *teacher_sha256,
                         int64_t teacher, brew_err *err);

// A row's value; d [C] = scale times its gradient by s, where it is wanted. d may be t.
double brew_hidden_row(const float *s, const float *t, int64_t c, double scale, float *d);

// A row of a micro-batch that counts.
typedef struct brew_hidden_at {
    int64_t row, read; // of the star; among the reads, -1: it is not read
    int32_t task;
    double sum,
        pairs; // out: its values over the pairs, and how many: those after the student's last layer
               // count at reads only, which is where that layer is computed
} brew_hidden_at;

// Zero-initialise; map and all_rows are the caller's to set, and to keep.
typedef struct brew_matcher {
    const brew_hidden_map *map;
    float **slopes;       // [L+1] out: gradients for brew_learner_backward
    float *stream, *last; // private
    size_t slopes_cap, stream_cap, last_cap;
} brew_matcher;
void brew_matcher_release(brew_matcher *matcher);
// Between the learner's two passes over a star of so many rows and reads. streams: the teacher's [n] by pairs, each
// [rows, C]; they turn into gradients, times scale, if those are wanted.
void brew_matcher_run(brew_matcher *matcher, const brew_learner *learner, int64_t rows,
                      int64_t reads, float *const *streams, bool learn, double scale,
                      brew_hidden_at *at, size_t n);

#endif
