/* Makes calls of the library fail on purpose: those for memory, threads and descriptors, which the
 * linker leads here (FAULTS_LINK_OPTIONS in tests/CMakeLists.txt). */
#ifndef TENOR_TESTS_FAULTS_H
#define TENOR_TESTS_FAULTS_H

#include <stdbool.h>

/* Which calls fail from now on. */
typedef enum faults_mode {
  FAULTS_ONCE, /* the n-th alone */
  FAULTS_FROM  /* the n-th and all after it */
} faults_mode;

/* Counts calls of all threads, the next one being the first. */
void faults_arm(int n, faults_mode mode);

/* No call fails any more. True when one did since faults_arm. */
bool faults_disarm(void);

/* How many blocks of memory the library has and has not given back. */
int faults_live_blocks(void);

#endif
