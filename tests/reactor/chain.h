/* A chain of ops on one device, and how much of it is in a recording. */
#ifndef TENOR_TESTS_CHAIN_H
#define TENOR_TESTS_CHAIN_H

#include "recorded.h"
#include "rig.h"

/* Runs so many ops on cpu:0, each on the result of the one before, and waits until they are done.
 */
void chain_run(tnr_runtime *runtime, int length);

/* How many ops of chains have their whole journey in the file. */
size_t chain_whole_ops(const recorded *r);

/* The same of a file of that name in the folder; fails the test when the file was cut off. */
size_t chain_ops_in(const char *name);

#endif
