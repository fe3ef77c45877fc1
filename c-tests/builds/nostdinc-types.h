/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What relakit.h needs of <stdint.h> and <stddef.h>, for RELAKIT_TYPES_H. */
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long int64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long uint64_t;
typedef unsigned long uintptr_t;
typedef unsigned long size_t;
#define UINT64_C(number) number##UL
#define NULL ((void *)0)
