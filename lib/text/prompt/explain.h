// Why each event of a member is in a record, or is not.
#ifndef BREW_TEXT_EXPLAIN_H
#define BREW_TEXT_EXPLAIN_H

#include "text/prompt/prompt.h"

typedef struct brew_record_id { // TASK/MEMBER/NUMBER, perhaps with @KEPT behind
    const char *member;         // in the id
    size_t member_len, number, kept;
} brew_record_id;

// False if it is not the id of a record of the task.
bool brew_record_id_parse(const brew_task *task, const char *id, brew_record_id *out);
// Appends a line for each event, in the order of time, behind a line of names: time, source, item, action,
// known, and the reason, parted by tabs. False if the member has no such record.
bool brew_prompter_explain(const brew_prompter *prompter, brew_prompt_scratch *scratch,
                           const brew_member *member, const brew_record_id *id, brew_buf *out);

#endif
