#include "live.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <tenor/live.h>

enum { ANSWER_MAX = 1 << 18, PATIENCE_MS = 10000 };

/* ---- connecting ---- */

bool live_connect(pid_t pid, int number, live_source *out, tnr_fault *fault) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char folder[PATH_MAX], suffix[16] = "";
  (void)tnr_live_folder(folder, sizeof folder);
  if (number > 1)
    snprintf(suffix, sizeof suffix, ".%d", number);
  snprintf(out->path, sizeof out->path, "%.200s/tenor-%d%s.sock", folder, (int)pid, suffix);
  out->fd = -1;
  if (strlen(out->path) >= sizeof address.sun_path) {
    tnr_fail(fault, TNR_ESYSTEM, "'%.150s' is too long for a socket", out->path);
    return false;
  }
  memcpy(address.sun_path, out->path, strlen(out->path) + 1);
  out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (out->fd != -1 && connect(out->fd, (const struct sockaddr *)&address, sizeof address) == 0)
    return true;
  tnr_fail(fault, TNR_ESYSTEM,
           "process %d does not listen on '%.120s': %s; is it one of yours, with TENOR_LIVE=1?",
           (int)pid, out->path, strerror(errno));
  live_close(out);
  return false;
}

void live_close(live_source *source) {
  if (source->fd != -1)
    close(source->fd);
  source->fd = -1;
}

static int compare_pids(const void *a, const void *b) {
  pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;
  return (left > right) - (left < right);
}

int live_list(pid_t *out, int max) {
  char folder[PATH_MAX];
  int count = 0;
  (void)tnr_live_folder(folder, sizeof folder);
  DIR *files = opendir(folder);
  for (const struct dirent *file; files && (file = readdir(files));) {
    int pid, length = 0;
    live_source source;
    tnr_fault fault;
    if (sscanf(file->d_name, "tenor-%d.sock%n", &pid, &length) != 1 || length == 0 ||
        file->d_name[length] != '\0' || !live_connect(pid, 1, &source, &fault))
      continue;
    live_close(&source);
    if (count < max)
      out[count] = pid;
    count++;
  }
  if (files)
    closedir(files);
  qsort(out, (size_t)(count < max ? count : max), sizeof *out, compare_pids);
  return count;
}

/* ---- what is said ---- */

static void add_field(live_fields *fields, const char *name, const char *value) {
  if (fields->count == LIVE_FIELDS_MAX)
    return;
  live_field *field = &fields->at[fields->count++];
  snprintf(field->name, sizeof field->name, "%s", name);
  field->value = strtoull(value, NULL, 10);
}

static void read_device(live_sample *out, char **rest) {
  const char *name = strtok_r(NULL, " ", rest), *field, *value;
  if (!name || out->device_count == LIVE_DEVICES_MAX)
    return;
  live_device *device = &out->devices[out->device_count++];
  snprintf(device->name, sizeof device->name, "%s", name);
  while ((field = strtok_r(NULL, " ", rest)) && (value = strtok_r(NULL, " ", rest)))
    add_field(&device->fields, field, value);
}

static void read_latency(live_sample *out, char **rest) {
  const char *end = strtok_r(NULL, " ", rest), *count = strtok_r(NULL, " ", rest);
  if (count && out->latency_count < LIVE_LATENCIES_MAX)
    out->latencies[out->latency_count++] =
        (live_latency){strtoull(end, NULL, 10), strtoull(count, NULL, 10)};
}

static void read_oldest(live_oldest *out, const char *rest) {
  if (sscanf(rest, "%" SCNu64 " %15s %31s %d %63s %255[^\n]", &out->ns, out->state, out->device,
             &out->line, out->op, out->file) != 6)
    *out = (live_oldest){0};
}

static void read_line(live_sample *out, char *line) {
  char *rest = NULL;
  const char *name = strtok_r(line, " ", &rest);
  if (!name)
    return;
  if (strcmp(name, "device") == 0)
    read_device(out, &rest);
  else if (strcmp(name, "latency") == 0)
    read_latency(out, &rest);
  else if (strcmp(name, "oldest") == 0)
    read_oldest(&out->oldest, rest);
  else if (strcmp(name, "version") == 0)
    snprintf(out->version, sizeof out->version, "%s", rest);
  else
    add_field(&out->fields, name, rest);
}

static void read_lines(live_sample *out, char *text) {
  char *rest = NULL;
  *out = (live_sample){0};
  for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
    if (strcmp(line, ".") != 0)
      read_line(out, line);
}

/* ---- asking ---- */

static bool is_whole(const char *text, size_t length) {
  return length >= 3 && memcmp(text + length - 3, "\n.\n", 3) == 0;
}

static tnr_status has_ended(const live_source *source, tnr_fault *fault) {
  return tnr_fail(fault, TNR_ECLOSED, "the runtime of '%.150s' has ended", source->path);
}

static tnr_status hear(const live_source *source, char *text, tnr_fault *fault) {
  for (size_t length = 0; !is_whole(text, length);) {
    struct pollfd wait = {.fd = source->fd, .events = POLLIN};
    if (poll(&wait, 1, PATIENCE_MS) == 0)
      return tnr_fail(fault, TNR_ESYSTEM, "'%.150s' does not answer", source->path);
    ssize_t got = recv(source->fd, text + length, ANSWER_MAX - 1 - length, 0);
    if (got == -1 && errno == EINTR)
      continue;
    if (got <= 0 && length < ANSWER_MAX - 1)
      return has_ended(source, fault);
    length += got > 0 ? (size_t)got : 0;
    text[length] = '\0';
    if (length == ANSWER_MAX - 1 || strncmp(text, "error", 5) == 0)
      return tnr_fail(fault, TNR_ESYSTEM, "'%.150s' says what makes no sense", source->path);
  }
  return TNR_OK;
}

tnr_status live_ask(live_source *source, live_sample *out, tnr_fault *fault) {
  static const char question[] = "stats\n";
  char *text = malloc(ANSWER_MAX);
  if (!text)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for an answer");
  text[0] = '\0';
  tnr_status status = TNR_OK;
  if (send(source->fd, question, strlen(question), MSG_NOSIGNAL) == -1)
    status = has_ended(source, fault);
  if (status == TNR_OK)
    status = hear(source, text, fault);
  if (status == TNR_OK)
    read_lines(out, text);
  free(text);
  return status;
}

/* ---- of what was said ---- */

uint64_t live_value(const live_fields *fields, const char *name) {
  for (int i = 0; i < fields->count; i++)
    if (strcmp(fields->at[i].name, name) == 0)
      return fields->at[i].value;
  return 0;
}

static uint64_t counted_before(const live_sample *before, uint64_t end) {
  for (int i = 0; before && i < before->latency_count; i++)
    if (before->latencies[i].end == end)
      return before->latencies[i].count;
  return 0;
}

uint64_t live_quantile(const live_sample *now, const live_sample *before, double share) {
  uint64_t all = 0, seen = 0, max = live_value(&now->fields, "latency_max_ns");
  for (int i = 0; i < now->latency_count; i++)
    all += now->latencies[i].count - counted_before(before, now->latencies[i].end);
  for (int i = 0; i < now->latency_count && all > 0; i++) {
    seen += now->latencies[i].count - counted_before(before, now->latencies[i].end);
    if (seen > 0 && (double)seen >= share * (double)all)
      return now->latencies[i].end < max ? now->latencies[i].end : max;
  }
  return 0;
}
