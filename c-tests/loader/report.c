/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a person reads, and files to read. print_error shows all that relakit says of a fault. */
#include "loader.h"

#include <stdio.h>
#include <stdlib.h>

void print_error(const struct relakit_error *error)
{
    char text[512];

    relakit_error_format(error, NULL, text, sizeof text);
    printf("%s\n", text);
}

void *allocate(size_t size)
{
    void *memory = calloc(1, size ? size : 1);

    if (!memory) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return memory;
}

unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    long length = -1;

    if (file && fseek(file, 0, SEEK_END) == 0)
        length = ftell(file);
    if (length >= 0 && fseek(file, 0, SEEK_SET) == 0) {
        bytes = allocate((size_t)length);
        if (fread(bytes, 1, (size_t)length, file) != (size_t)length)
            length = -1;
    }
    if (file)
        fclose(file);
    if (length < 0) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    *size = (size_t)length;
    return bytes;
}
