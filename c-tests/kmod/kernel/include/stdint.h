/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What relakit.h wants of <stdint.h>: a kernel has these types elsewhere. */
#include <linux/types.h>
