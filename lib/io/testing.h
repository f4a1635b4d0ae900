// For tests of readers: a file of given bytes, then damaged in place and mended again.
//
// Thousands of damages to one file are quick that way; writing it anew each time waits for the disk.
// Only *_test.c files include this. What cannot be done ends the test.
#ifndef BREW_IO_TESTING_H
#define BREW_IO_TESTING_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((unused)) static void put(const char *path, const void *bytes, size_t len) {
    FILE *file = fopen(path, "wb");
    if (!file || (len && fwrite(bytes, 1, len, file) != len) || fclose(file)) exit(1);
}

// Keeps the first len bytes.
__attribute__((unused)) static void cut_to(const char *path, size_t len) {
    if (truncate(path, (off_t)len)) exit(1);
}

// Flips bit 0 to 7 of the byte at an offset; twice leaves the file as it was.
__attribute__((unused)) static void flip(const char *path, size_t at, int bit) {
    int fd = open(path, O_RDWR);
    unsigned char byte;
    if (fd < 0 || pread(fd, &byte, 1, (off_t)at) != 1) exit(1);
    byte ^= (unsigned char)(1 << bit);
    if (pwrite(fd, &byte, 1, (off_t)at) != 1 || close(fd)) exit(1);
}

#endif
