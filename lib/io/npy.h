// The .npy format, version 1.0 (numpy.lib.format): the part of it that token streams and column folders use.
//
//     \x93NUMPY 1 0 | u16 n | n bytes: {'descr': '<i4', 'fortran_order': False, 'shape': (3,), }   \n | data
//
// Little-endian, C order, the data at a multiple of 64 bytes.
#ifndef BREW_IO_NPY_H
#define BREW_IO_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum brew_npy_type {
    BREW_NPY_U8,
    BREW_NPY_I32,
    BREW_NPY_I64,
    BREW_NPY_F32,
    BREW_NPY_F64, // the last three in column folders only
    BREW_NPY_I8,
    BREW_NPY_BOOL,
    BREW_NPY_TYPES
};
enum { BREW_NPY_MAX_DIMS = 4 };

size_t brew_npy_type_bytes(enum brew_npy_type type);

typedef struct brew_npy {
    enum brew_npy_type type;
    int n_dims; // 0 to BREW_NPY_MAX_DIMS
    size_t shape[BREW_NPY_MAX_DIMS];
    size_t count;      // product of the shape
    size_t data_start; // of the data in the file
} brew_npy;

// Appends the header of an array, type, n_dims and shape of which are given.
void brew_npy_write_header(brew_buf *out, const brew_npy *array);
// Parses a whole .npy file. Only what brew_npy_write_header, and numpy itself, writes is taken: any other
// spelling, version, type or order is refused, and so is a file longer or shorter than header and data.
int brew_npy_parse(const char *bytes, size_t len, brew_npy *array, brew_err *err);

#endif
