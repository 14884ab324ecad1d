/* A program that can be looked at over a socket, and somebody who looks at it. */
#ifndef TENOR_TESTS_VIEWER_H
#define TENOR_TESTS_VIEWER_H

#include "folder.h"
#include "rig.h"

enum { VIEWER_ANSWER_MAX = 1 << 16 };

/* A group's setup: its folder is where sockets are. The teardown is folder_leave. */
int viewer_enter(void **state);

/* A test with a viewer_runtime as *state, and a scope. */
#define viewer_test(function) cmocka_unit_test_setup_teardown(function, viewer_setup, rig_teardown)
int viewer_setup(void **state);

/* Devices cpu:0 to cpu:3, and a socket. */
tnr_runtime *viewer_runtime(void);

/* Runs 500 ops on cpu:0. */
void viewer_run_some(tnr_runtime *runtime);

/* A connection. To a path: -1 when nobody listens there. */
int viewer_attach(const tnr_runtime *runtime);
int viewer_attach_to(const char *path);

void viewer_say(int fd, const char *line);

/* Reads until the text ends with this, or there is no more; good until the next call. */
const char *viewer_hear(int fd, const char *end);
bool viewer_is_at_end(int fd);
const char *viewer_ask_stats(int fd);

/* The number behind a name at the beginning of a line; fails the test when there is none. */
uint64_t viewer_number(const char *text, const char *name);

#endif
