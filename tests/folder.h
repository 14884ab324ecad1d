/* A folder of the test's own, for the files of its group of tests. */
#ifndef TENOR_TESTS_FOLDER_H
#define TENOR_TESTS_FOLDER_H

#include <stdbool.h>

/* A group's setup and teardown: makes it, and removes it with all that is in it. */
int folder_enter(void **state);
int folder_leave(void **state);

/* The folder's own path. */
const char *folder_itself(void);

/* The path of a file in it; valid until the next call but one. */
const char *folder_path(const char *name);

/* Is there such a file in it? */
bool folder_has(const char *name);

/* Waits until there is; fails the test after 20 s. */
void folder_await(const char *name);

#endif
