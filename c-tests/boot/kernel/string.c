/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Memory and strings. Compiled with -fno-tree-loop-distribute-patterns, or memcpy would be a call of memcpy. */
#include "kernel.h"

void *memcpy(void *to, const void *from, size_t size)
{
    void *result = to;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void *memmove(void *to, const void *from, size_t size)
{
    unsigned char *bytes = to;
    const unsigned char *source = from;

    if (bytes <= source)
        return memcpy(to, from, size);
    while (size-- > 0)
        bytes[size] = source[size];
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    void *result = to;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
    return result;
}

int memcmp(const void *left, const void *right, size_t size)
{
    const unsigned char *a = left, *b = right;

    for (size_t i = 0; i < size; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

size_t strlen(const char *string)
{
    size_t length = 0;

    while (string[length] != 0)
        length++;
    return length;
}

bool is_name(const char *ours, const char *name, size_t length)
{
    return strlen(ours) == length && memcmp(ours, name, length) == 0;
}
