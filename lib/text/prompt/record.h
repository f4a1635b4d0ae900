// Private to prompt.c: a member as placeholders see it, and a record's members in JSON.
#ifndef BREW_TEXT_RECORD_H
#define BREW_TEXT_RECORD_H

#include "text/prompt/prompt.h"

// What placeholders are filled from.
typedef struct brew_subject {
    const brew_prompter *prompter;
    const brew_member *member;
    const brew_event *event; // in the sections the earliest question
    const brew_plan *plan;
    const brew_plan_record *record; // what the summary counts up to
    size_t style;                   // in which it is told
    size_t member_id, member_row;   // the row as of the event
    const size_t *item_rows;        // [member->n] as of each event
    const size_t *shown;            // [n_shown] events of the record's lines
    size_t n_shown;
    brew_buf *value; // room for one that is made
} brew_subject;

// From here on values are as of this event.
void brew_subject_take(brew_subject *s, size_t event);

// Fits brew_template_value_fn where arg is a brew_subject.
const char *brew_subject_value(void *arg, int field, size_t *len);

// Appends what follows "query" in a record, from ,"items" to the end of the line.
void brew_record_write(brew_subject *s, brew_prompt_scratch *scratch,
                       const brew_plan_record *record, brew_buf *out);

#endif
