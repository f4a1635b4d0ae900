#define _XOPEN_SOURCE 700 // posix_openpt
#include "io/out.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"

static char dir[] = "/tmp/brew-out-XXXXXX", path[64];

static const char *in_dir(const char *name) {
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

// How many names a directory holds.
static int entries(const char *of) {
    DIR *handle = opendir(of);
    int n = 0;
    while (handle && readdir(handle)) n++;
    if (handle) closedir(handle);
    return n - 2;
}

static const char *contents(const char *of) {
    static char text[64];
    FILE *file = fopen(of, "r");
    size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[len] = 0;
    return text;
}

static void test_publishing(void) {
    brew_err err = {0};
    brew_out *out = brew_out_open(in_dir("a"), BREW_OUT_BINARY, &err);
    ok(out && !brew_out_write(out, "one\n", 4, &err), "written");
    ok(!brew_out_flush(out, &err) && access(path, F_OK), "not there before commit");
    is_int(entries(dir), 1, "a temporary file beside it");
    is_int((long long)brew_out_bytes(out), 4, "bytes counted");
    ok(!brew_out_commit(out, &err), "committed");
    is_str(contents(path), "one\n", "its contents");
    is_int(entries(dir), 1, "and nothing else");
    mode_t mask = umask(0);
    umask(mask);
    struct stat st;
    ok(!stat(path, &st) && (st.st_mode & 0777) == (0666 & ~mask), "permissions as the umask says");

    chmod(path, 0640);
    out = brew_out_open(path, 0, &err);
    ok(out && !brew_out_write(out, "two\n", 4, &err), "written again");
    is_str(contents(path), "one\n", "the old file stays until then");
    brew_out_abandon(out);
    is_str(contents(path), "one\n", "abandoned: it stays");
    is_int(entries(dir), 1, "abandoned: nothing is left behind");
    out = brew_out_open(path, 0, &err);
    ok(out && !brew_out_write(out, "two\n", 4, &err) && !brew_out_commit(out, &err), "replaced");
    is_str(contents(path), "two\n", "its new contents");
    ok(!stat(path, &st) && (st.st_mode & 0777) == 0640, "its old permissions");
    brew_out_abandon(NULL);
}

static void test_links(void) {
    brew_err err = {0};
    char link_path[64];
    snprintf(link_path, sizeof link_path, "%s/link", dir);
    ok(!symlink("a", link_path), "a link");
    brew_out *out = brew_out_open(link_path, 0, &err);
    ok(out && !brew_out_write(out, "three\n", 6, &err) && !brew_out_commit(out, &err),
       "through it");
    struct stat st;
    ok(!lstat(link_path, &st) && S_ISLNK(st.st_mode), "the link stays");
    is_str(contents(in_dir("a")), "three\n", "what it points to is replaced");
    unlink(link_path);
}

static void test_failures(void) {
    brew_err err = {0};
    ok(!brew_out_open("/nonexistent/x", 0, &err) && err.code == BREW_CANTCREATE, "%s", err.text);
    ok(!brew_out_open(dir, 0, &err) && err.code == BREW_CANTCREATE, "%s", err.text);
    ok(!brew_out_open("", 0, &err) && err.code == BREW_CANTCREATE, "%s", err.text);
    if (access("/dev/full", W_OK)) return;
    brew_out *out = brew_out_open("/dev/full", BREW_OUT_BINARY, &err);
    ok(out && !brew_out_write(out, "x", 1, &err), "a byte in the buffer");
    ok(brew_out_commit(out, &err) < 0 && err.code == BREW_IO, "%s", err.text);
    out = brew_out_open("/dev/full", 0, &err);
    char *large = brew_calloc(1, 1 << 20);
    ok(brew_out_write(out, large, 1 << 20, &err) < 0, "a large write fails at once");
    ok(brew_out_write(out, "x", 1, &err) < 0, "and sticks");
    ok(brew_out_commit(out, &err) < 0 && strstr(err.text, "/dev/full"), "up to commit");
    free(large);
    struct stat st;
    ok(!stat("/dev/full", &st) && S_ISCHR(st.st_mode), "/dev/full is what it was");
}

// Many writes of many sizes arrive as they were.
static void test_sizes(void) {
    brew_err err = {0};
    char *bytes = brew_alloc(1 << 20), *back = brew_alloc(16 << 20);
    for (int i = 0; i < 1 << 20; i++) bytes[i] = (char)(i * 31 >> 3);
    brew_out *out = brew_out_open(in_dir("sizes"), 0, &err);
    size_t total = 0, same = 0;
    for (size_t i = 0; i < 300; i++) {
        size_t len = i * i * i * 37 % (i % 50 ? 2000 : 600000);
        brew_out_write(out, bytes + i, len, &err);
        total += len;
    }
    ok(!brew_out_commit(out, &err), "committed");
    FILE *file = fopen(path, "rb");
    is_int((long long)fread(back, 1, 16 << 20, file), (long long)total, "all bytes");
    fclose(file);
    for (size_t i = 0, at = 0; i < 300; i++) {
        size_t len = i * i * i * 37 % (i % 50 ? 2000 : 600000);
        same += !memcmp(back + at, bytes + i, len);
        at += len;
    }
    is_int((long long)same, 300, "in their order");
    unlink(path);
    free(bytes);
    free(back);
}

static void test_descriptors(void) {
    brew_err err = {0};
    int ends[2];
    if (pipe(ends)) return;
    char name[32], got[8] = "";
    snprintf(name, sizeof name, "/dev/fd/%d", ends[1]);
    brew_out *out = brew_out_open(name, BREW_OUT_BINARY, &err);
    ok(out && !brew_out_write(out, "abc", 3, &err) && !brew_out_commit(out, &err), "%s", name);
    ok(read(ends[0], got, 8) == 3 && !strcmp(got, "abc"), "arrives through the descriptor");
    ok(fcntl(ends[1], F_GETFD) >= 0, "which stays open");
    close(ends[0]);
    pid_t child = fork();
    if (!child) { // SIGPIPE has its default action
        out = brew_out_open(name, 0, &err);
        brew_out_write(out, "abc", 3, &err);
        brew_out_commit(out, &err);
        _exit(9);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, "a closed pipe kills quietly");
    signal(SIGPIPE, SIG_IGN);
    out = brew_out_open(name, 0, &err);
    ok(out && !brew_out_write(out, "abc", 3, &err), "with SIGPIPE ignored");
    ok(brew_out_commit(out, &err) < 0 && err.code == BREW_IO, "%s", strrchr(err.text, ':'));
    signal(SIGPIPE, SIG_DFL);
    close(ends[1]);
}

static void test_terminal(void) {
    brew_err err = {0};
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal) || !ptsname(terminal)) {
        printf("ok %d - # SKIP no pseudo-terminal\n", ++tap_count);
        return;
    }
    const char *name = ptsname(terminal);
    ok(!brew_out_open(name, BREW_OUT_BINARY, &err) && err.code == BREW_USAGE, "%s", err.text);
    brew_out *out = brew_out_open(name, BREW_OUT_TEXT, &err);
    ok(out != NULL, "text is welcome");
    brew_out_abandon(out);
    close(terminal);
}

static void write_file(const char *name, const char *text) {
    brew_err err;
    brew_out *out = brew_out_open(name, 0, &err);
    brew_out_write(out, text, strlen(text), &err);
    brew_out_commit(out, &err);
}

static void test_directories(void) {
    brew_err err = {0};
    char target[64], name[256];
    int before = entries(dir);
    snprintf(target, sizeof target, "%s/model", dir);
    brew_outdir *model = brew_outdir_open(target, &err);
    ok(model != NULL, "a directory to be: %s", err.text);
    snprintf(name, sizeof name, "%s/config.json", brew_outdir_path(model));
    write_file(name, "{}");
    snprintf(name, sizeof name, "%s/inner", brew_outdir_path(model));
    ok(!mkdir(name, 0777) && access(target, F_OK), "not there before commit");
    ok(!brew_outdir_commit(model, &err), "committed: %s", err.text);
    snprintf(name, sizeof name, "%s/config.json", target);
    is_str(contents(name), "{}", "its file");
    is_int(entries(dir), before + 1, "and nothing else");
    ok(!brew_outdir_open(target, &err) && err.code == BREW_CANTCREATE, "%s", err.text);
    unlink(name);
    snprintf(name, sizeof name, "%s/inner", target);
    rmdir(name);
    snprintf(name, sizeof name, "%s//", target);
    model = brew_outdir_open(name, &err);
    ok(model != NULL, "an empty directory is fine, slashes behind it, too");
    snprintf(name, sizeof name, "%s/f", brew_outdir_path(model));
    write_file(name, "x");
    brew_outdir_abandon(model);
    ok(entries(target) == 0 && entries(dir) == before + 1, "abandoned: nothing is left behind");
    rmdir(target);
    ok(!brew_outdir_open(in_dir("a"), &err), "%s", err.text);
    brew_outdir_abandon(NULL);
}

// What a fatal signal does: a child with open outputs removes them all on its way out.
static void on_signal(int number) {
    brew_out_abandon_all();
    _exit(128 + number);
}

static void test_abandon_all(void) {
    int before = entries(dir);
    pid_t child = fork();
    if (!child) {
        brew_err err;
        char name[256];
        signal(SIGTERM, on_signal);
        brew_out *one = brew_out_open(in_dir("one"), 0, &err);
        brew_out *gone = brew_out_open(in_dir("gone"), 0, &err);
        brew_out *two = brew_out_open(in_dir("two"), 0, &err);
        brew_outdir *model = brew_outdir_open(in_dir("model"), &err);
        snprintf(name, sizeof name, "%s/inner", brew_outdir_path(model));
        mkdir(name, 0777);
        snprintf(name, sizeof name, "%s/inner/weights", brew_outdir_path(model));
        write_file(name, "x");
        brew_out_abandon(gone);
        if (!one || !two || entries(dir) != before + 3) _exit(1);
        raise(SIGTERM);
        _exit(2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 128 + SIGTERM, "a signal met the handler");
    is_int(entries(dir), before, "which left nothing behind");
}

// A fatal signal while the system makes a file or a directory: these stand in for the system's.
static bool signal_within;

int open(const char *name, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    int fd = openat(AT_FDCWD, name, flags, mode);
    if (signal_within && (flags & O_CREAT)) raise(SIGTERM);
    return fd;
}

int mkdir(const char *name, mode_t mode) {
    int status = mkdirat(AT_FDCWD, name, mode);
    if (signal_within) raise(SIGTERM);
    return status;
}

static void test_signal_within(void) {
    int before = entries(dir);
    for (int of_dir = 0; of_dir < 2; of_dir++) {
        pid_t child = fork();
        if (!child) {
            brew_err err;
            signal(SIGTERM, on_signal);
            signal_within = true;
            if (of_dir)
                brew_outdir_open(in_dir("model"), &err);
            else
                brew_out_open(in_dir("one"), 0, &err);
            _exit(2);
        }
        int status = 0;
        waitpid(child, &status, 0);
        is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 128 + SIGTERM,
               of_dir ? "a signal while a directory is made" : "a signal while a file is made");
        is_int(entries(dir), before, "left nothing behind");
    }
}

int main(void) {
    if (!mkdtemp(dir)) return 1;
    test_publishing();
    test_links();
    test_failures();
    test_sizes();
    test_descriptors();
    test_terminal();
    test_directories();
    test_abandon_all();
    test_signal_within();
    unlink(in_dir("a"));
    ok(!rmdir(dir), "the directory is empty again");
    return tap_done();
}
