/* What is done for the sake of the CPUs' caches. */
#ifndef TENOR_CACHE_LINE_H
#define TENOR_CACHE_LINE_H

enum { TNR_CACHE_LINE = 64 }; /* bytes */

/* The line at `address` will be written soon, and was last written on another CPU. Any address will
 * do. GCC's own prefetch for writing only reads unless it may use an instruction that the oldest
 * x86-64 lacks; there it does nothing, which is why it is safe to use it all the same. */
static inline void tnr_prefetch(const void *address) {
#if defined(__x86_64__)
  __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
  __builtin_prefetch(address, 1);
#endif
}

#endif
