#include "page_parts.h"

/* A column is a string: what each value is more than the one before it, with its sign in the lowest
 * bit, in groups of 7 bits, the low ones first, each but the last with 128 added; these bytes in
 * base64. */

static void put_byte(struct page *p, unsigned byte) {
  if (!ROWS_ROOM(&p->column)) {
    p->no_room = true;
    return;
  }
  p->column.at[p->column.count++] = (unsigned char)byte;
}

void page_begin_column(struct page *p, const char *key) {
  p->column_key = key;
  p->column.count = 0;
  p->column_last = 0;
}

void page_put(struct page *p, int64_t value) {
  int64_t more = (int64_t)((uint64_t)value - (uint64_t)p->column_last);
  uint64_t rest = (uint64_t)more << 1 ^ (uint64_t)(more >> 63);
  p->column_last = value;
  for (; rest > 127; rest >>= 7)
    put_byte(p, (rest & 127) | 128);
  put_byte(p, (unsigned)rest);
}

/* Of up to three bytes. */
static void put_group(char *out, const unsigned char *bytes, size_t count) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned bits = (unsigned)bytes[0] << 16 | (count > 1 ? (unsigned)bytes[1] << 8 : 0) |
                  (count > 2 ? bytes[2] : 0);
  for (unsigned i = 0; i < 4; i++)
    out[i] = i <= count ? digits[bits >> (18 - 6 * i) & 63] : '=';
}

void page_end_column(struct page *p) {
  size_t bytes = p->column.count, size = (bytes + 2) / 3 * 4;
  char *text = spill_resize(NULL, size + 1);
  if (!text) {
    p->no_room = true;
    return;
  }
  for (size_t i = 0; i < bytes; i += 3)
    put_group(text + i / 3 * 4, p->column.at + i, bytes - i < 3 ? bytes - i : 3);
  json_put_line(&p->json);
  json_put_bytes(&p->json, p->column_key, text, size);
  spill_free(text);
}
