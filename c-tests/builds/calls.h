/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The same calls of relakit for every way to build a program with it. Needs no libc and no headers but relakit.h. */
#ifndef CALLS_H
#define CALLS_H

#include "relakit.h"

/* Makes the calls, and prints each check that fails. The last line is "<name>: <n> checks, <n> failures". */
int calls_run(const char *name, void (*print)(const char *text));

#endif
