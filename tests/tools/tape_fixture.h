/* Hand-made recordings for tests, in the folder of the test. */
#ifndef TENOR_TESTS_TAPE_FIXTURE_H
#define TENOR_TESTS_TAPE_FIXTURE_H

#include "../../tools/trace/recording.h"
#include "folder.h"
#include "tape_writer.h"

/* Reads "NAME" of the folder; fails the test where that fails. */
struct trace_recording tape_read(const char *name);

/* The row of the op with this number; fails the test where there is none. */
uint32_t tape_row(const struct trace_recording *recording, uint32_t number);

/* A diamond on two devices, 1 → 2 → 4 and 1 → 3 → 4, in ns:
 *
 *   main        submits 1, 2, 3, 4 at 100, 200, 300, 400; waits for 4 from 500 to 11100
 *   dev:0       1: 1000 to 3000   2: 3100 to 4100                     4: 9200 to 10200
 *   dev:1                                3: 3300 to 9000
 *
 * 3 was launched at 3200, 4 at 9100; complete: 1 at 3050, 2 at 4200, 3 at 9050, 4 at 11000. All
 * create for 100. */
void tape_diamond(const char *name);

#endif
