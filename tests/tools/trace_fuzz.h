/* Every reader and analysis over any bytes: for the fuzz tests. */
#ifndef TENOR_TESTS_TRACE_FUZZ_H
#define TENOR_TESTS_TRACE_FUZZ_H

#include <stdbool.h>

/* Reads the file and runs all that there is over it; what it finds is thrown away. True: it could
 * be read. */
bool trace_fuzz_file(const char *path);

/* Writes a recording that has all types of records, brief and long. */
void trace_fuzz_image(const char *path);

#endif
