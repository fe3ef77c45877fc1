/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The module that level1.c loads. */
int puts(const char *text);

static const char *const texts[] = { "run was called" };

int run(void)
{
    return puts(texts[0]) < 0;
}
