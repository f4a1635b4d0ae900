// A column folder: answers as arrays that numpy saves, for more rows than records should be written for.
//
//     DIR/scores.npy    <f8 or <f4   finite
//     DIR/targets.npy   |b1, |u1, |i1, <i4 or <i8   1 positive, 0 negative, -1 unknown
//     DIR/members.npy   <i8 or <i4   whose answer it is, any number
//     DIR/weights.npy   <f4 or <f8   0 to 1e30, taken as f4; all 1 without the file
//
// One dimension, all of one length, as numpy.save writes them. The files are mapped: rows are copied out in
// blocks. Read-only, so threads may share it.
#ifndef BREW_RANK_FOLDER_H
#define BREW_RANK_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/map.h"
#include "io/npy.h"

enum { BREW_FOLDER_BLOCK = 2048 };

typedef struct brew_folder {
    size_t n;
    struct brew_folder_column {
        brew_map map;
        const char *data; // NULL: no such file
        enum brew_npy_type type;
    } scores, targets, members, weights;
} brew_folder;

// Some rows; those of unknown outcome are still among them. Columns stand in the mapped file, or in `space`.
typedef struct brew_folder_block {
    size_t n;
    const double *score;
    const int64_t *member;
    double weight[BREW_FOLDER_BLOCK];
    int8_t target[BREW_FOLDER_BLOCK]; // anything but 1, 0 and -1 is 2
    struct {
        double score[BREW_FOLDER_BLOCK];
        int64_t member[BREW_FOLDER_BLOCK];
    } space;
} brew_folder_block;

bool brew_folder_is(const char *path); // a folder
// Maps and checks headers and lengths, not the values.
int brew_folder_open(brew_folder *folder, const char *path, brew_err *err);
void brew_folder_close(brew_folder *folder);
// Rows from `first` up to `end`, at most a block; the second leaves member and weight alone.
void brew_folder_read(const brew_folder *folder, size_t first, size_t end,
                      brew_folder_block *block);
void brew_folder_read_scores(const brew_folder *folder, size_t first, size_t end,
                             brew_folder_block *block);
// Of one row.
float brew_folder_weight(const brew_folder *folder, size_t row);

#endif
