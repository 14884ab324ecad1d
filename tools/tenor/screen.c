#include "screen.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BUFFERS = 16, BUFFER = 160, SCALED = 40 };

static char *next_buffer(void) {
  static char buffers[BUFFERS][BUFFER];
  static int next;
  next = (next + 1) % BUFFERS;
  return buffers[next];
}

/* Bytes that begin no character take none. */
static int columns_of(const char *text) {
  int columns = 0;
  for (; *text; text++)
    columns += (*text & 0xc0) != 0x80;
  return columns;
}

/* In the largest of the units, each `step` of the one before, of which there is one, and in three
 * digits, which is what a look takes in. Of the first unit there are whole ones only. */
static const char *put_scaled(char *text, double value, double step, const char *const *units,
                              int count) {
  int unit = 0;
  for (; unit + 1 < count && value >= step - 0.5; unit++)
    value /= step;
  int digits = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  snprintf(text, SCALED, "%.*f %s", digits, value, units[unit]);
  return text;
}

static const char *put_time(char *text, int64_t ns) {
  static const char *const units[] = {"ns", "µs", "ms", "s"};
  return put_scaled(text, (double)ns, 1000, units, 4);
}

const char *screen_time(int64_t ns) {
  return put_time(next_buffer(), ns);
}

const char *screen_time_column(int64_t ns) {
  enum { COLUMNS = 9 };
  char time[SCALED], *text = next_buffer();
  int length = columns_of(put_time(time, ns));
  snprintf(text, BUFFER, "%*s%s", length < COLUMNS ? COLUMNS - length : 0, "", time);
  return text;
}

const char *screen_bytes(uint64_t bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  return put_scaled(next_buffer(), (double)bytes, 1024, units, 5);
}

const char *screen_count(uint64_t count) {
  char digits[24], *text = next_buffer();
  int length = snprintf(digits, sizeof digits, "%" PRIu64, count), at = 0;
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0)
      text[at++] = ',';
    text[at++] = digits[i];
  }
  text[at] = '\0';
  return text;
}

const char *screen_share(int64_t part, int64_t whole) {
  char *text = next_buffer();
  snprintf(text, BUFFER, "%.1f%%", whole > 0 ? 100.0 * (double)part / (double)whole : 0);
  return text;
}

static const char *skip(const char *text, int columns) {
  for (; *text && columns > 0; columns--)
    for (text++; (*text & 0xc0) == 0x80; text++) {
    }
  return text;
}

const char *screen_end_of(const char *text, int columns) {
  char *out = next_buffer();
  int length = columns_of(text);
  if (length <= columns)
    snprintf(out, BUFFER, "%s", text);
  else
    snprintf(out, BUFFER, "…%s", skip(text, length - columns + 1));
  return out;
}

const char *screen_column(const char *text, int columns) {
  char *out = next_buffer();
  int length = columns_of(text);
  if (length <= columns)
    snprintf(out, BUFFER, "%s%*s", text, columns - length, "");
  else
    snprintf(out, BUFFER, "%.*s…", (int)(skip(text, columns - 1) - text), text);
  return out;
}
