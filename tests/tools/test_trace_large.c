/* A large recording (TENOR_EVENTS=10000000: of ten million events) is read, analysed and exported
 * with as little memory as a small one: its tables are in files. */
#include <stdlib.h>
#include <sys/resource.h>

#include "../../tools/trace/export.h"
#include "../../tools/trace/invariants.h"
#include "../../tools/trace/page_data.h"
#include "../../tools/trace/path.h"
#include "../../tools/trace/summary.h"
#include "check.h"
#include "tape_fixture.h"

enum { EVENTS_AN_OP = 5, EVENTS = 200000, OPS_A_CHUNK = 20000, KIB = 1024 };

/* Of which the tables of so many events would need five times as much. */
enum { OWN_KIB = 4 * KIB, RESIDENT_KIB = 256 * KIB };

static size_t events(void) {
  const char *asked = getenv("TENOR_EVENTS");
  return asked ? strtoull(asked, NULL, 10) : CHECK_SANITIZED ? EVENTS / 4 : EVENTS;
}

/* A chain in short forms, as most of a large recording is. */
static void write_chain(size_t ops) {
  struct tape_file file = tape_open(folder_path("large"), 2, 0);
  for (uint32_t i = 1; i <= ops; i++) {
    if (i % OPS_A_CHUNK == 0)
      for (uint32_t tape = TAPE_MAIN; tape < TAPE_WORKER + 2; tape++)
        tape_turn(&file, tape);
    tape_brief_op(&file, 200 * (uint64_t)i, i, i - 1, i % 2, "relu");
  }
  tape_close(&file, 0, true);
}

/* ---- memory ---- */

/* In KiB, of /proc/self/status: "VmData", "VmHWM". */
static long status_kib(const char *key) {
  char line[200];
  long kib = -1;
  FILE *from = fopen("/proc/self/status", "r");
  assert_non_null(from);
  while (kib < 0 && fgets(line, sizeof line, from))
    if (strncmp(line, key, strlen(key)) == 0)
      kib = strtol(line + strlen(key) + 1, NULL, 10);
  fclose(from);
  assert_true(kib >= 0);
  return kib;
}

/* What is not in files may grow by so much from here on: then there is no more. */
static void limit_own_memory(rlim_t kib) {
  const struct rlimit limit = {((rlim_t)status_kib("VmData") + kib) * KIB, RLIM_INFINITY};
  assert_int_equal(setrlimit(RLIMIT_DATA, &limit), 0);
}

/* ---- the analyses ---- */

static void ignore(const struct trace_violation *violation, void *user) {
  (void)violation;
  ++*(uint64_t *)user;
}

static void summarize(const struct trace_recording *recording, const struct trace_hosts *hosts) {
  struct trace_summary summary;
  assert_int_equal(trace_summary_make(recording, hosts, &summary, NULL), TNR_OK);
  assert_int_equal(summary.ops.at[0].runs, recording->ops.count);
  trace_summary_finish(&summary);
}

static void follow(const struct trace_recording *recording, const struct trace_hosts *hosts) {
  struct trace_path path;
  struct trace_gains gains;
  assert_int_equal(trace_path_find(recording, hosts, &path, NULL), TNR_OK);
  assert_true(path.steps.count >= recording->ops.count);
  assert_int_equal(trace_gains_find(recording, hosts, &path, 3, &gains, NULL), TNR_OK);
  assert_true(gains.rows.count > 0);
  trace_gains_finish(&gains);
  trace_path_finish(&path);
}

static void check(const struct trace_recording *recording) {
  struct trace_checked checked;
  uint64_t violations = 0;
  assert_int_equal(trace_check(recording, 0, ignore, &violations, &checked, NULL), TNR_OK);
  assert_int_equal(violations, 0);
}

static void export_all(const struct trace_recording *recording) {
  const struct trace_page_options page = {.file = "large", .events = 100000};
  FILE *to = fopen("/dev/null", "w");
  assert_non_null(to);
  assert_int_equal(trace_export_chrome(recording, to, NULL), TNR_OK);
  assert_int_equal(trace_export_csv(recording, to, NULL), TNR_OK);
  assert_int_equal(trace_export_svg(recording, to, NULL), TNR_OK);
  assert_int_equal(trace_page_data(recording, &page, to, NULL), TNR_OK);
  assert_int_equal(fclose(to), 0);
}

static void a_large_recording_needs_no_more_memory(void **state) {
  (void)state;
  struct trace_hosts hosts;
  size_t ops = events() / EVENTS_AN_OP;
  write_chain(ops);
  if (!CHECK_SANITIZED)
    limit_own_memory(OWN_KIB);
  struct trace_recording recording = tape_read("large");
  assert_int_equal(recording.ops.count, ops);
  assert_int_equal(trace_hosts_init(&recording, &hosts, NULL), TNR_OK);
  summarize(&recording, &hosts);
  follow(&recording, &hosts);
  check(&recording);
  export_all(&recording);
  trace_hosts_finish(&hosts);
  trace_recording_finish(&recording);
  print_message("resident at most: %ld KiB\n", status_kib("VmHWM"));
  if (!CHECK_SANITIZED)
    assert_in_range(status_kib("VmHWM"), 0, RESIDENT_KIB);
}

static void without_room_for_its_tables_it_is_not_read(void **state) {
  (void)state;
  struct trace_recording recording;
  tnr_fault fault;
  setenv("TMPDIR", folder_path("no folder"), 1);
  assert_int_equal(trace_recording_read(folder_path("large"), &recording, &fault), TNR_ENOMEM);
  assert_non_null(strstr(fault.message, "no room for a recording of this size"));
  assert_non_null(strstr(fault.message, "no folder: No such file or directory"));
  unsetenv("TMPDIR");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_large_recording_needs_no_more_memory),
                                     cmocka_unit_test(without_room_for_its_tables_it_is_not_read)};
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
