/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reads the modules. They stay until the end, because the names of their symbols do. */
#ifndef FILES_H
#define FILES_H

#include <stdio.h>
#include <stdlib.h>

#define MOST_FILES 8

static void *files[MOST_FILES];
static size_t file_count;

static inline void *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    long length = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    void *bytes = length > 0 && file_count < MOST_FILES ? malloc((size_t)length) : NULL;

    if (!bytes || fseek(file, 0, SEEK_SET) != 0 || fread(bytes, 1, (size_t)length, file) != (size_t)length) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    fclose(file);
    *size = (size_t)length;
    return files[file_count++] = bytes;
}

static inline void free_files(void)
{
    while (file_count > 0)
        free(files[--file_count]);
}

#endif
