#define _GNU_SOURCE /* mremap, mkostemp */

#include "spill.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

/* In front of what is given out. */
struct block {
  size_t bytes;      /* with this */
  struct file *file; /* NULL: on the heap */
};

struct file {
  void *at;
  size_t bytes;
  struct file *next, **link;
  int fd;
};

/* Changed only while the signal is held. */
static struct file *files;

/* ---- the sweep ---- */

/* A page that was touched stays in the process until memory is short. Each time that the process
 * has worked for a while it gives all of them back: those that are needed come again from the page
 * cache, or from the file. A signal tells it when, as then nothing can be touched for longer. */
static void sweep(int unused) {
  int error = errno;
  (void)unused;
  for (const struct file *file = files; file; file = file->next)
    madvise(file->at, file->bytes, MADV_DONTNEED);
  errno = error;
}

static sigset_t hold_signal(void) {
  sigset_t held, before;
  sigemptyset(&held);
  sigaddset(&held, SIGPROF);
  pthread_sigmask(SIG_BLOCK, &held, &before);
  return before;
}

static void restore_signal(sigset_t before) {
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void sweep_every(int us) {
  const struct itimerval interval = {{0, us}, {0, us}};
  setitimer(ITIMER_PROF, &interval, NULL);
}

/* The signal's action stays: one may still be on its way. */
static void enlist(struct file *file) {
  enum { SWEEP_US = 5000 };
  const struct sigaction action = {.sa_handler = sweep, .sa_flags = SA_RESTART};
  if (!files) {
    sigaction(SIGPROF, &action, NULL);
    sweep_every(SWEEP_US);
  }
  file->next = files;
  file->link = &files;
  if (file->next)
    file->next->link = &file->next;
  files = file;
}

static void strike_off(struct file *file) {
  *file->link = file->next;
  if (file->next)
    file->next->link = file->link;
  if (!files)
    sweep_every(0);
}

/* ---- files ---- */

const char *spill_folder(void) {
  const char *folder = getenv("TMPDIR");
  return folder && *folder ? folder : "/var/tmp";
}

static int open_unnamed(void) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/tenor_XXXXXX", spill_folder());
  int fd = mkostemp(path, O_CLOEXEC);
  if (fd >= 0)
    unlink(path);
  return fd;
}

/* Room on the disk is taken at once: where there is none, this fails, and not whoever writes. */
static bool reserve(int fd, size_t bytes) {
  errno = posix_fallocate(fd, 0, (off_t)bytes);
  return errno == 0;
}

static struct block *create_file(size_t bytes) {
  struct file *file = malloc(sizeof *file);
  if (!file)
    return NULL;
  file->bytes = bytes;
  file->fd = open_unnamed();
  if (file->fd < 0)
    goto no_file;
  if (!reserve(file->fd, bytes))
    goto no_room;
  file->at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
  if (file->at == MAP_FAILED)
    goto no_room;
  enlist(file);
  struct block *block = file->at;
  *block = (struct block){bytes, file};
  return block;

no_room:
  close(file->fd);
no_file:
  free(file);
  return NULL;
}

static void destroy_file(struct file *file) {
  strike_off(file);
  munmap(file->at, file->bytes);
  close(file->fd);
  free(file);
}

static struct block *resize_file(struct file *file, size_t bytes) {
  struct block *moved = MAP_FAILED;
  if (reserve(file->fd, bytes))
    moved = mremap(file->at, file->bytes, bytes, MREMAP_MAYMOVE);
  if (moved == MAP_FAILED)
    return NULL;
  file->at = moved;
  file->bytes = moved->bytes = bytes;
  return moved;
}

/* ---- blocks ---- */

static struct block *resize_heap(struct block *old, size_t bytes) {
  size_t before = old ? old->bytes : 0;
  struct block *block = realloc(old, bytes);
  if (!block)
    return NULL;
  if (bytes > before)
    memset((char *)block + before, 0, bytes - before);
  *block = (struct block){bytes, NULL};
  return block;
}

static struct block *move_to_file(struct block *old, size_t bytes) {
  struct block *block = create_file(bytes);
  if (block && old)
    memcpy(block + 1, old + 1, old->bytes - sizeof *old);
  if (block)
    free(old);
  return block;
}

static struct block *resize(struct block *old, size_t bytes) {
  if (bytes < SPILL_FROM)
    return resize_heap(old, bytes);
  sigset_t before = hold_signal();
  struct block *block = old && old->file ? resize_file(old->file, bytes) : move_to_file(old, bytes);
  restore_signal(before);
  return block;
}

void *spill_resize(void *at, size_t bytes) {
  struct block *old = at ? (struct block *)at - 1 : NULL;
  if (bytes > PTRDIFF_MAX - sizeof *old) {
    errno = ENOMEM;
    return NULL;
  }
  struct block *block = resize(old, bytes + sizeof *old);
  return block ? block + 1 : NULL;
}

void spill_free(void *at) {
  struct block *block = at ? (struct block *)at - 1 : NULL;
  if (!block || !block->file) {
    free(block);
    return;
  }
  sigset_t before = hold_signal();
  destroy_file(block->file);
  restore_signal(before);
}

tnr_status spill_fail(tnr_fault *fault, const char *what) {
  return tnr_fail(fault, TNR_ENOMEM, "no room for %s in memory, or in files in %s: %s", what,
                  spill_folder(), strerror(errno));
}
