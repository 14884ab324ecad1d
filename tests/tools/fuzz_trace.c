/* libFuzzer's search for recordings that harm a reader or an analysis: see the preset fuzz. The
 * folder of the corpus is filled with recordings to begin with.
 *
 *   fuzz_trace FOLDER           searches until it finds one
 *   fuzz_trace CRASH-FILE       replays one */
#define _GNU_SOURCE /* memfd_create */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "tape_fixture.h"
#include "trace_fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void give_up(const char *what) {
  fprintf(stderr, "fuzz_trace: %s: %s\n", what, strerror(errno));
  exit(1);
}

static const char *folder_of(char **arguments) {
  struct stat found;
  for (char **at = arguments + 1; *at; at++)
    if (**at != '-' && (stat(*at, &found) != 0 || S_ISDIR(found.st_mode)))
      return *at;
  return NULL;
}

/* A few ops, as most of a large recording is. */
static void write_brief(const char *path) {
  struct tape_file file = tape_open(path, 2, 0);
  for (uint32_t i = 1; i <= 4; i++)
    tape_brief_op(&file, 200 * i, i, i - 1, i % 2, "relu");
  tape_close(&file, 0, true);
}

static void write_cut(const char *path) {
  struct tape_file file = tape_open(path, 1, TNR_TRACE_FLIGHT);
  tape_whole(&file, &(struct tape_op){.number = 1, .name = "relu"}, 0, 10, 100, 200);
  tape_turn(&file, TAPE_MAIN);
  tape_span(&file, TAPE_MAIN, TNR_TRACE_WAIT, 300, 400, 1, TNR_TRACE_FOR_CREATED);
  tape_cut(&file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  static const struct {
    const char *name;
    void (*write)(const char *path);
  } seeds[] = {{"all", trace_fuzz_image}, {"brief", write_brief}, {"cut", write_cut}};
  const char *folder = folder_of(*argv);
  char path[4096];
  (void)argc;
  if (!folder)
    return 0;
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    give_up(folder);
  for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, seeds[i].name);
    seeds[i].write(path);
  }
  return 0;
}

/* Readers take files: this one is in memory. */
static const char *put_into_file(const uint8_t *data, size_t size) {
  static char path[40];
  static int file = -1;
  if (file < 0) {
    file = memfd_create("fuzz_trace", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  }
  if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size)
    give_up("memfd");
  return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  (void)trace_fuzz_file(put_into_file(data, size));
  return 0;
}
