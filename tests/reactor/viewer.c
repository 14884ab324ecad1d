#include "viewer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

tnr_runtime *viewer_runtime(void) {
  const tnr_device_config cpu = {.driver = tnr_cpu_driver(), .count = 4};
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = &cpu, .device_configs = 1, .live = true});
  assert_made(runtime);
  assert_non_null(tnr_live_path(runtime));
  return runtime;
}

int viewer_setup(void **state) {
  rig_bare_setup(state);
  *state = viewer_runtime();
  assert_ok(tnr_scope_open());
  return 0;
}

int viewer_attach_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd == -1 || strlen(path) >= sizeof address.sun_path)
    return -1;
  strcpy(address.sun_path, path);
  if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  close(fd);
  return -1;
}

int viewer_attach(const tnr_runtime *runtime) {
  int fd = viewer_attach_to(tnr_live_path(runtime));
  assert_int_not_equal(fd, -1);
  return fd;
}

void viewer_say(int fd, const char *line) {
  assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
}

const char *viewer_hear(int fd, const char *end) {
  static char text[VIEWER_ANSWER_MAX];
  size_t length = 0;
  text[0] = '\0';
  while (length < strlen(end) || strcmp(text + length - strlen(end), end) != 0) {
    ssize_t got = recv(fd, text + length, sizeof text - 1 - length, 0);
    if (got <= 0)
      break;
    length += (size_t)got;
    text[length] = '\0';
  }
  return text;
}

const char *viewer_ask_stats(int fd) {
  viewer_say(fd, "stats\n");
  return viewer_hear(fd, "\n.\n");
}

uint64_t viewer_number(const char *text, const char *name) {
  char start[96];
  snprintf(start, sizeof start, "\n%s ", name);
  const char *at = strstr(text, start);
  if (!at)
    fail_msg("'%s' does not say %s", text, name);
  return strtoull(at + strlen(start), NULL, 10);
}

bool viewer_is_at_end(int fd) {
  char byte;
  return recv(fd, &byte, 1, 0) <= 0;
}

void viewer_run_some(tnr_runtime *runtime) {
  assert_ok(tnr_scope_open());
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 0));
  for (int i = 0; i < 500; i++)
    x = rig_plus_one(x);
  assert_number(x, 500);
  assert_ok(tnr_scope_close());
}

int viewer_enter(void **state) {
  return folder_enter(state) != 0 || setenv("XDG_RUNTIME_DIR", folder_itself(), 1) != 0;
}
