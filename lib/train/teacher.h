// Who teaches a student: a model in memory, or a stream of what one said (brew-score --teacher-stream).
//
// Both give the same numbers, bit for bit, at the same precision and kernel level. A teacher's ids must mean
// what the student's do: another tokenizer is refused, unless the student's was cut from it
// (text/token/vocab_map.h). Then the teacher reads the student's tokens under their old ids.
//
// Life cycle: look (nothing large is read), load, free.
#ifndef BREW_TRAIN_TEACHER_H
#define BREW_TRAIN_TEACHER_H

#include "model/model.h"
#include "text/source.h"
#include "train/batch.h"

typedef struct brew_teacher brew_teacher;

typedef struct brew_student {
    const brew_modeldir *dir;
    brew_encoder *encoder; // its tokenizer
    int64_t vocab;
} brew_student;
// Which of the two path is, is seen from what is there. precision: auto|f32|bf16, of a model. Where neither of
// two models has a tokenizer, their vocabularies must be of one size.
brew_teacher *brew_teacher_look(const char *path, int precision, const char *kernel,
                                brew_pool *pool, const brew_student *student, brew_err *err);
void brew_teacher_free(brew_teacher *teacher); // NULL is fine
bool brew_teacher_is_stream(const brew_teacher *teacher);
// Of a model: its bytes in memory, and the longest request it can take.
size_t brew_teacher_bytes(const brew_teacher *teacher, int64_t rows);
int64_t brew_teacher_context(const brew_teacher *teacher);           // INT64_MAX for a stream
const brew_config *brew_teacher_config(const brew_teacher *teacher); // NULL for a stream
int brew_teacher_load(brew_teacher *teacher, brew_err *err);         // does nothing for a stream
brew_model *brew_teacher_model(brew_teacher *teacher);               // NULL for a stream
// Whether the student's vocabulary was cut out of its. Of a model: its id for each of the student's; NULL where
// they are the same.
bool brew_teacher_renumbered(const brew_teacher *teacher);
const int32_t *brew_teacher_ids(const brew_teacher *teacher);
int64_t brew_teacher_topk(const brew_teacher *teacher); // of a stream: tokens it tells, 0: none
// Digest of the model, and "PRECISION/LEVEL" at which it speaks.
const char *brew_teacher_digest(const brew_teacher *teacher);
const char *brew_teacher_arithmetic(const brew_teacher *teacher);
const brew_modeldir *brew_teacher_dir(const brew_teacher *teacher); // NULL for a stream

// A teacher's stream, read beside the requests it was made for, of which it may have more.
typedef struct brew_lesson brew_lesson;
// reading: as for the requests; its limits are not the stream's.
brew_lesson *brew_lesson_open(const char *path, const brew_source_options *reading, brew_err *err);
void brew_lesson_close(brew_lesson *lesson); // NULL is fine
const brew_star_teacher *brew_lesson_teacher(const brew_lesson *lesson);
bool brew_lesson_renumbers(
    const brew_lesson *lesson); // for a vocabulary that was cut; but no likeliest tokens
// Goes forward to the request that equals request r of star, in its tokens, answers and labels: what is said of
// it, valid until the next call. Fails if there is none.
int brew_lesson_find(brew_lesson *lesson, const brew_star *star, size_t r, brew_taught *taught,
                     brew_err *err);

#endif
