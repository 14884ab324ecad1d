/* Writes JSON piece by piece: what is written is in no memory. Texts may be any bytes. */
#ifndef TENOR_TRACE_JSON_H
#define TENOR_TRACE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
  FILE *to;
  bool follows; /* a comma comes before what is next */
};

/* `key`: NULL within arrays, and for the outermost. */
void json_put_open(struct json *json, const char *key, char bracket); /* '{' or '[' */
void json_put_close(struct json *json, char bracket);                 /* '}' or ']' */
void json_put_text(struct json *json, const char *key, const char *text);
void json_put_bytes(struct json *json, const char *key, const char *text, size_t size);
void json_put_integer(struct json *json, const char *key, int64_t value);
void json_put_number(struct json *json, const char *key, double value);
void json_put_bool(struct json *json, const char *key, bool value);
void json_put_null(struct json *json, const char *key);

/* ns as a number of microseconds, exactly. */
void json_put_micros(struct json *json, const char *key, int64_t ns);

/* The same for readers that add begins and lengths up as doubles: in 4096ths of a µs, so that what
 * ends when something else begins does so to the bit. Less than 0.25 ns away; ns: not negative. */
void json_put_time(struct json *json, const char *key, int64_t ns);
void json_put_length(struct json *json, const char *key, int64_t begin, int64_t end);

/* A line break before what is next. */
void json_put_line(struct json *json);

#endif
