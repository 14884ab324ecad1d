#include "folder.h"

#include <stdio.h>
#include <unistd.h>

#include "check.h"

static char folder[] = "/tmp/tenor_test_XXXXXX";

int folder_enter(void **state) {
  (void)state;
  return mkdtemp(folder) == NULL;
}

int folder_leave(void **state) {
  (void)state;
  char line[64];
  snprintf(line, sizeof line, "rm -r %s", folder);
  return system(line) != 0;
}

const char *folder_itself(void) {
  return folder;
}

const char *folder_path(const char *name) {
  static char paths[2][128];
  static int last;
  last = !last;
  snprintf(paths[last], sizeof paths[last], "%s/%s", folder, name);
  return paths[last];
}

bool folder_has(const char *name) {
  return access(folder_path(name), F_OK) == 0;
}

void folder_await(const char *name) {
  const struct timespec ms = {.tv_nsec = 1000000};
  for (int waited = 0; !folder_has(name); waited++) {
    assert_in_range(waited, 0, 20000);
    nanosleep(&ms, NULL);
  }
}
