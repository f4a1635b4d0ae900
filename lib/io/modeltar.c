#include "io/modeltar.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "io/name.h"

enum { CHUNK = 1 << 18, MAX_FILES = 4096 };

typedef struct reader {
    brew_in *in;
    const char *name;
    struct archive *archive;
    brew_err *err;
    bool failed;    // err is set by reading, not by the archive
    bool begun;     // an entry has been seen
    uint64_t total; // bytes handed to libarchive
    uint64_t zeros; // of them, how many zeros stand at the end
    brew_tar_file *files;
    size_t n, cap;
    char chunk[CHUNK];
} reader;

// Counts what passes by: the zeros at the end tell a whole archive from a cut one, which libarchive
// takes for an end when the cut falls between two files.
static ssize_t pull(reader *r) {
    ssize_t got = brew_in_read(r->in, r->chunk, CHUNK, r->err);
    if (got < 0) r->failed = true;
    if (got <= 0) return got;
    size_t zeros = 0;
    while (zeros < (size_t)got && !r->chunk[(size_t)got - 1 - zeros]) zeros++;
    r->zeros = zeros == (size_t)got ? r->zeros + zeros : zeros;
    r->total += (uint64_t)got;
    return got;
}

static la_ssize_t archive_wants(struct archive *archive, void *arg, const void **bytes) {
    reader *r = arg;
    ssize_t got = pull(r);
    if (got < 0) archive_set_error(archive, -1, "cannot read");
    *bytes = r->chunk;
    return got;
}

static int damaged(const reader *r) {
    if (r->failed) return -1;
    if (!r->begun)
        return brew_fail(r->err, BREW_DATA, "%s: neither a GGUF file nor a tar of a model",
                         r->name);
    return brew_fail(r->err, BREW_DATA, "%s: the tar is cut short or damaged near byte %llu",
                     r->name, (unsigned long long)archive_filter_bytes(r->archive, 0));
}

static bool name_is_safe(const char *name) {
    if (!*name || *name == '/') return false;
    for (const char *part = name; *part;) {
        size_t len = strcspn(part, "/");
        if (len == 2 && part[0] == '.' && part[1] == '.') return false;
        part += len + (part[len] == '/');
    }
    return true;
}

static int check_entry(const reader *r, struct archive_entry *entry, const char *name) {
    if (!name || !brew_name_is_plain(name, strlen(name)))
        return brew_fail(r->err, BREW_DATA, "%s: the name of file %zu in the tar is not plain text",
                         r->name, r->n + 1);
    if (archive_entry_symlink(entry) || archive_entry_hardlink(entry))
        return brew_fail(r->err, BREW_DATA, "%s: %s is a link, which a model tar must not hold",
                         r->name, name);
    if (!name_is_safe(name))
        return brew_fail(r->err, BREW_DATA, "%s: %s leads out of the model's directory", r->name,
                         name);
    for (size_t i = 0; i < r->n; i++)
        if (!strcmp(r->files[i].name, name))
            return brew_fail(r->err, BREW_DATA, "%s: %s stands there twice", r->name, name);
    if (archive_entry_filetype(entry) != AE_IFREG)
        return brew_fail(r->err, BREW_DATA, "%s: %s is no regular file", r->name, name);
    if (r->n == MAX_FILES)
        return brew_fail(r->err, BREW_DATA, "%s: more than %d files in the tar", r->name,
                         MAX_FILES);
    if (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)
        return brew_fail(r->err, BREW_DATA, "%s: %s has no size", r->name, name);
    return 0;
}

static int read_file(reader *r, struct archive_entry *entry, const char *name) {
    size_t len = (size_t)archive_entry_size(entry), at = 0;
    brew_tar_file file = {0};
    if (brew_slab_init(&file.slab, len, name, r->err))
        return brew_err_context(r->err, "%s", r->name);
    while (at < len) {
        la_ssize_t got = archive_read_data(r->archive, (char *)file.slab.ptr + at, len - at);
        if (got <= 0) {
            brew_slab_release(&file.slab);
            return damaged(r);
        }
        at += (size_t)got;
    }
    file.name = brew_strdup(name);
    BREW_GROW(r->files, r->n + 1, r->cap);
    r->files[r->n++] = file;
    return 0;
}

static int read_entries(reader *r) {
    struct archive_entry *entry;
    uint64_t end = 0; // of the last file, its padding included
    for (;;) {
        int rc = archive_read_next_header(r->archive, &entry);
        if (rc == ARCHIVE_EOF) break;
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN) return damaged(r);
        r->begun = true;
        const char *name = archive_entry_pathname(entry);
        if (!name) name = archive_entry_pathname_utf8(entry);
        while (name && name[0] == '.' && name[1] == '/') name += 2;
        if (archive_entry_filetype(entry) != AE_IFDIR &&
            (check_entry(r, entry, name) || read_file(r, entry, name)))
            return -1;
        if (archive_read_data_skip(r->archive) != ARCHIVE_OK) return damaged(r);
        end = (uint64_t)archive_filter_bytes(r->archive, 0);
    }
    ssize_t got;
    while ((got = pull(r)) > 0) continue;
    if (got < 0) return -1;
    if (r->total < end + 1024 || r->total - end > r->zeros)
        return brew_fail(r->err, BREW_DATA,
                         "%s: the tar is cut short: no end of archive after %llu bytes", r->name,
                         (unsigned long long)r->total);
    return 0;
}

int brew_modeltar_read(brew_in *in, brew_tar_file **files, size_t *n, brew_err *err) {
    reader *r = brew_alloc(sizeof *r);
    *r = (reader){.in = in, .name = brew_in_name(in), .err = err};
    r->archive = archive_read_new();
    if (!r->archive) brew_bug("no memory for reading a tar");
    archive_read_support_format_tar(r->archive);
    int rc = archive_read_open(r->archive, r, NULL, archive_wants, NULL) == ARCHIVE_OK
                 ? read_entries(r)
                 : damaged(r);
    archive_read_free(r->archive);
    if (rc) {
        brew_modeltar_release(r->files, r->n);
    } else {
        *files = r->files;
        *n = r->n;
    }
    free(r);
    return rc;
}

void brew_modeltar_release(brew_tar_file *files, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free(files[i].name);
        brew_slab_release(&files[i].slab);
    }
    free(files);
}
