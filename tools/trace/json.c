#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

/* '<' could begin a tag where JSON is part of a page. */
static void put_character(FILE *to, const char *text, size_t size) {
  unsigned char first = (unsigned char)text[0];
  if (size == 0)
    fputs("\\ufffd", to);
  else if (size > 1 || (first >= ' ' && first != '"' && first != '\\' && first != '<'))
    fwrite(text, 1, size, to);
  else if (first == '"' || first == '\\')
    fprintf(to, "\\%c", first);
  else
    fprintf(to, "\\u%04x", first);
}

static void put_string(FILE *to, const char *text, size_t size) {
  fputc('"', to);
  for (size_t i = 0; i < size;) {
    size_t taken = utf8_size(text + i, size - i);
    put_character(to, text + i, taken);
    i += taken ? taken : 1;
  }
  fputc('"', to);
}

static void begin(struct json *json, const char *key) {
  if (json->follows)
    fputc(',', json->to);
  json->follows = true;
  if (!key)
    return;
  put_string(json->to, key, strlen(key));
  fputc(':', json->to);
}

void json_put_open(struct json *json, const char *key, char bracket) {
  begin(json, key);
  fputc(bracket, json->to);
  json->follows = false;
}

void json_put_close(struct json *json, char bracket) {
  fputc(bracket, json->to);
  json->follows = true;
}

void json_put_bytes(struct json *json, const char *key, const char *text, size_t size) {
  begin(json, key);
  put_string(json->to, text, size);
}

void json_put_text(struct json *json, const char *key, const char *text) {
  json_put_bytes(json, key, text, strlen(text));
}

void json_put_integer(struct json *json, const char *key, int64_t value) {
  begin(json, key);
  fprintf(json->to, "%" PRId64, value);
}

void json_put_number(struct json *json, const char *key, double value) {
  begin(json, key);
  if (isfinite(value))
    fprintf(json->to, "%.17g", value);
  else
    fputs("null", json->to);
}

void json_put_bool(struct json *json, const char *key, bool value) {
  begin(json, key);
  fputs(value ? "true" : "false", json->to);
}

void json_put_null(struct json *json, const char *key) {
  begin(json, key);
  fputs("null", json->to);
}

void json_put_micros(struct json *json, const char *key, int64_t ns) {
  begin(json, key);
  fprintf(json->to, "%s%" PRId64 ".%03d", ns < 0 ? "-" : "", (ns < 0 ? -ns : ns) / 1000,
          (int)((ns < 0 ? -ns : ns) % 1000));
}

/* In 4096ths of a µs, rounded down. */
static int64_t parts(int64_t ns) {
  return ns / 1000 * 4096 + ns % 1000 * 4096 / 1000;
}

static void put_parts(struct json *json, const char *key, int64_t count) {
  const int64_t decimals_of_one = 244140625; /* 10^12 / 4096 */
  begin(json, key);
  fprintf(json->to, "%" PRId64, count / 4096);
  if (count % 4096)
    fprintf(json->to, ".%012" PRId64, count % 4096 * decimals_of_one);
}

void json_put_time(struct json *json, const char *key, int64_t ns) {
  put_parts(json, key, parts(ns));
}

void json_put_length(struct json *json, const char *key, int64_t begin, int64_t end) {
  put_parts(json, key, parts(end) - parts(begin));
}

void json_put_line(struct json *json) {
  if (json->follows)
    fputc(',', json->to);
  json->follows = false;
  fputc('\n', json->to);
}
