#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { BETWEEN_NS = 100000000, QUARTERS = 4, BAR = 24 };

int64_t progress_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

char *progress_grouped(int64_t number, char out[GROUPED_MAX]) {
  char digits[GROUPED_MAX];
  int count = snprintf(digits, sizeof digits, "%lld", (long long)number), used = 0;
  for (int i = 0; i < count; i++) {
    if (i > 0 && digits[i - 1] != '-' && (count - i) % 3 == 0)
      out[used++] = ',';
    out[used++] = digits[i];
  }
  out[used] = '\0';
  return out;
}

void progress_init(struct progress *progress, const char *noun, int64_t total) {
  *progress = (struct progress){
      .noun = noun, .total = total, .terminal = isatty(STDERR_FILENO), .start_ns = progress_now()};
}

static void rewrite_line(struct progress *progress, int64_t done) {
  char shown[GROUPED_MAX], total[GROUPED_MAX], bar[BAR + 1];
  for (int i = 0; i < BAR; i++)
    bar[i] = i < done * BAR / progress->total ? '#' : '.';
  bar[BAR] = '\0';
  fprintf(stderr, "\r  [%s] %s of %s %s\033[K", bar, progress_grouped(done, shown),
          progress_grouped(progress->total, total), progress->noun);
  fflush(stderr);
}

static void add_line(struct progress *progress, int64_t done) {
  char shown[GROUPED_MAX], total[GROUPED_MAX];
  int64_t quarters = done * QUARTERS / progress->total;
  if (quarters == progress->shown_quarters)
    return;
  progress->shown_quarters = quarters;
  fprintf(stderr, "  %s of %s %s (%lld%%)\n", progress_grouped(done, shown),
          progress_grouped(progress->total, total), progress->noun,
          (long long)(done * 100 / progress->total));
}

void progress_show(struct progress *progress, int64_t done) {
  if (!progress->terminal) {
    add_line(progress, done);
    return;
  }
  int64_t now = progress_now();
  if (now - progress->shown_ns < BETWEEN_NS)
    return;
  progress->shown_ns = now;
  rewrite_line(progress, done);
}

void progress_finish(struct progress *progress) {
  if (progress->terminal && progress->shown_ns)
    fputs("\r\033[K", stderr);
}
