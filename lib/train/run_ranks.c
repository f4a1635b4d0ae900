// What the ranks of a run do together before they train.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/run_parts.h"

// Refuses to be another run than rank 0 is: another command line, another machine's kernels, other files.
static int check_alike(const brew_run_parts *run, brew_err *err) {
    brew_ranks *ranks = run->options->ranks;
    brew_json *mine = brew_json_copy(run->identity);
    const char *out = run->options->out;
    brew_json_set(mine, "output", brew_json_new_string(out, strlen(out)));
    brew_buf text = {0};
    brew_json_write(&text, mine);
    uint64_t len = text.len;
    int rc = brew_ranks_tell(ranks, &len, sizeof len, err);
    char *first = brew_calloc(1, (size_t)len);
    if (!rc && !brew_ranks_me(ranks)) memcpy(first, text.ptr, (size_t)len);
    if (!rc) rc = brew_ranks_tell(ranks, first, (size_t)len, err);
    brew_json *theirs = rc ? NULL : brew_json_parse(first, (size_t)len, err);
    const char *key = theirs ? brew_rundir_difference(theirs, mine) : NULL;
    if (key) brew_fail(err, BREW_USAGE, "differs from rank 0 in %s", key);
    rc = !theirs || key ? -1 : 0;
    brew_json_free(theirs);
    brew_json_free(mine);
    brew_buf_release(&text);
    free(first);
    return rc;
}

int brew_run_open_dir(brew_run_parts *run, brew_err *err) {
    brew_ranks *ranks = run->options->ranks;
    const char *out = run->options->out;
    bool leads = !brew_ranks_me(ranks);
    if (brew_ranks_agree(ranks, 0, err)) return -1;
    int rc = ranks ? check_alike(run, err) : 0;
    if (brew_ranks_agree(ranks, rc, err)) return -1;
    run->job.dir = leads ? brew_rundir_open(out, run->identity, err) : brew_rundir_look(out);
    if (brew_ranks_agree(ranks, run->job.dir ? 0 : -1, err)) return -1;
    int finished = brew_rundir_finished(run->job.dir);
    if (brew_ranks_tell(ranks, &finished, sizeof finished, err)) return -1;
    return finished;
}
