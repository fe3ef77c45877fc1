/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What relakit.h wants of <stddef.h>: size_t. */
#include <linux/types.h>
