/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a person reads, and files to read. print_error shows all that relakit says of a fault. */
#include "loader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What a callback has returned comes back sign-extended; all other numbers have no sign. */
static int is_callback_number(relakit_status status, uint32_t which)
{
    return which == 1 && (status == RELAKIT_ERR_WRITER || status == RELAKIT_ERR_SYNC ||
                          status == RELAKIT_ERR_NOT_UNDONE || status == RELAKIT_ERR_RESOLVER);
}

void print_error(const struct relakit_error *error)
{
    static const char *const members[3] = { "", "value", "limit" };
    const uint64_t numbers[3] = { error->offset, error->value, error->limit };
    const char *type = relakit_type_name(error->r_type);
    const char *before = " (";

    if (error->has & RELAKIT_ERROR_HAS_SECTION)
        printf("section %" PRIu32 ", ", error->section);
    if (error->has & RELAKIT_ERROR_HAS_ENTRY)
        printf("entry %" PRIu64 ", ", error->entry);
    if (error->has & RELAKIT_ERROR_HAS_TYPE && type)
        printf("%s, ", type);
    else if (error->has & RELAKIT_ERROR_HAS_TYPE)
        printf("type %" PRIu32 ", ", error->r_type);
    if (error->has & RELAKIT_ERROR_HAS_SYMBOL)
        printf("symbol %" PRIu32 ", ", error->symbol);
    printf("%s", relakit_strerror(error->status));
    for (uint32_t i = 0; i < 3; i++) {
        const char *name = relakit_error_field_name(error->status, i);
        if ((!name || !*name) && error->status <= RELAKIT_ERR_NULL)
            name = members[i]; /* of a wrong call: relakit.h says what they are, mostly the number of the argument */
        if (!name || !*name || (name == members[2] && numbers[2] == 0))
            continue;
        if (is_callback_number(error->status, i))
            printf("%s%s %" PRId64, before, name, (int64_t)numbers[i]);
        else
            printf("%s%s %#" PRIx64, before, name, numbers[i]);
        before = ", ";
    }
    printf("%s\n", *before == ',' ? ")" : "");
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
