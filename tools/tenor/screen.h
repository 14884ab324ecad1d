/* Figures as people read them, on lines of 80 columns. */
#ifndef TENOR_TOOL_SCREEN_H
#define TENOR_TOOL_SCREEN_H

#include <stdint.h>

/* Texts in one of a few buffers that are used again: for the arguments of one printf. */
const char *screen_time(int64_t ns);                   /* "12.3 ms" */
const char *screen_time_column(int64_t ns);            /* the same, at the end of 9 columns */
const char *screen_bytes(uint64_t bytes);              /* "1.5 MiB" */
const char *screen_count(uint64_t count);              /* "1,234,567" */
const char *screen_share(int64_t part, int64_t whole); /* "12.3%" */

/* At most `columns` of a text: of a longer one the end, behind "…". */
const char *screen_end_of(const char *text, int columns);

/* At most `columns` of it: of a longer one the beginning, before "…", and filled up with blanks. */
const char *screen_column(const char *text, int columns);

#endif
