#include "screen.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BUFFERS = 16, BUFFER = 160 };

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

/* Three digits, which is what a look takes in. */
static const char *put_scaled(double value, const char *unit) {
  char *text = next_buffer();
  int digits = value >= 100 || value == 0 ? 0 : value >= 10 ? 1 : 2;
  snprintf(text, BUFFER, "%.*f %s", digits, value, unit);
  return text;
}

const char *screen_time(int64_t ns) {
  static const char *const units[] = {"ns", "µs", "ms", "s"};
  double value = (double)ns;
  int unit = 0;
  while (unit < 3 && value >= 999.5) {
    value /= 1000;
    unit++;
  }
  if (unit > 0)
    return put_scaled(value, units[unit]);
  char *text = next_buffer();
  snprintf(text, BUFFER, "%" PRId64 " ns", ns);
  return text;
}

const char *screen_time_column(int64_t ns) {
  enum { COLUMNS = 9 };
  const char *time = screen_time(ns);
  char *text = next_buffer();
  int length = columns_of(time);
  snprintf(text, BUFFER, "%*s%s", length < COLUMNS ? COLUMNS - length : 0, "", time);
  return text;
}

const char *screen_bytes(uint64_t bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = (double)bytes;
  int unit = 0;
  while (unit < 4 && value >= 1023.5) {
    value /= 1024;
    unit++;
  }
  if (unit > 0)
    return put_scaled(value, units[unit]);
  char *text = next_buffer();
  snprintf(text, BUFFER, "%" PRIu64 " B", bytes);
  return text;
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
