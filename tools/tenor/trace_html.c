#include <stdlib.h>
#include <string.h>

#include "../trace/page.h"
#include "../trace/page_data.h"
#include "screen.h"
#include "trace.h"

static const char help[] =
    "Usage: tenor trace html [OPTION]... [FILE]\n"
    "Writes one page that shows the timeline of a recording (default: tenor.trace):\n"
    "threads, the dispatcher, workers and devices, with zoom, search, arrows and\n"
    "the critical path. It needs no network and no other file.\n"
    "\n"
    "  -o, --output PAGE     default: the recording's name with .html behind it\n"
    "  -b, --from TIME       show what is there from then on, such as 20ms or 1.5s\n"
    "  -u, --to TIME         until when; default: the end\n"
    "  -e, --max-events N    events to show at most (default 1000000); the latest\n"
    "                        are left out\n"
    "  -h, --help            show this help\n";

struct page_writer {
  const struct trace_recording *recording;
  struct trace_page_options options;
  tnr_fault fault;
};

static bool write_recording(FILE *to, void *user) {
  struct page_writer *writer = user;
  writer->fault.code = trace_page_data(writer->recording, &writer->options, to, &writer->fault);
  return writer->fault.code == TNR_OK && !ferror(to);
}

static int write_page(FILE *to, void *user) {
  struct page_writer *writer = user;
  if (page_write(to, write_recording, writer) || writer->fault.code == TNR_OK)
    return 0; /* what could not be written, `to` knows */
  return trace_failed(writer->options.file, &writer->fault);
}

/* "FILE.html", which the caller frees; NULL: no memory. */
static char *default_page(const char *file) {
  const char *name = strcmp(file, "-") == 0 ? "tenor.trace" : file;
  size_t room = strlen(name) + sizeof ".html";
  char *path = malloc(room);
  if (path)
    snprintf(path, room, "%s.html", name);
  return path;
}

int trace_html(int argc, char **argv) {
  struct trace_options options;
  struct trace_recording recording;
  int exit_status;
  if (!trace_options_parse(argc, argv, "trace html", help, "oebu", 1, &options, &exit_status))
    return exit_status;
  if (options.to > 0 && options.to <= options.from)
    return command_misuse("trace html", "--to is not behind --from");
  if (!trace_load(options.files[0], &recording, &exit_status))
    return exit_status;
  struct page_writer writer = {.recording = &recording,
                               .options = {.file = options.files[0],
                                           .events = (uint64_t)options.events,
                                           .from = options.from,
                                           .to = options.to}};
  char *path = options.output ? strdup(options.output) : default_page(options.files[0]);
  exit_status = path ? trace_write_file(path, write_page, &writer) : command_fail("out of memory");
  if (exit_status == 0)
    printf("wrote %s\n", path);
  free(path);
  trace_recording_finish(&recording);
  return exit_status;
}
