/* A recording of a million events (TENOR_EVENTS=10000000: of ten) is read, analysed and exported in
 * memory that grows with the events by a few bytes each. */
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "../../tools/trace/export.h"
#include "../../tools/trace/invariants.h"
#include "../../tools/trace/path.h"
#include "../../tools/trace/summary.h"
#include "check.h"
#include "tape_fixture.h"

enum { EVENTS_AN_OP = 5, EVENTS = 1000000, OPS_A_CHUNK = 20000 };

static size_t events(void) {
  const char *asked = getenv("TENOR_EVENTS");
  return asked ? strtoull(asked, NULL, 10) : CHECK_MANY(EVENTS);
}

/* A chain in short forms, as most of a large recording is. */
static void write_chain(size_t ops) {
  struct tape_file file = tape_open(tape_path("large"), 2, 0);
  for (uint32_t i = 1; i <= ops; i++) {
    if (i % OPS_A_CHUNK == 0)
      for (uint32_t tape = TAPE_MAIN; tape < TAPE_WORKER + 2; tape++)
        tape_turn(&file, tape);
    tape_brief_op(&file, 200 * (uint64_t)i, i, i - 1, i % 2, "relu");
  }
  tape_close(&file, 0, true);
}

static long peak_kib(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

/* What the peak has grown by since, for each event; 0 under sanitizers, whose memory is their own.
 */
static void assert_bytes(const char *what, long since_kib, double most) {
  double bytes = 1024.0 * (double)(peak_kib() - since_kib) / (double)events();
  print_message("%s: %.1f bytes an event\n", what, bytes);
  if (!CHECK_SANITIZED)
    assert_true(bytes < most);
}

static void ignore(const struct trace_violation *violation, void *user) {
  (void)violation;
  ++*(uint64_t *)user;
}

static void take_long_recordings(void **state) {
  (void)state;
  struct trace_hosts hosts;
  struct trace_summary summary;
  struct trace_path path;
  struct trace_gains gains;
  struct trace_checked checked;
  uint64_t violations = 0;
  tnr_fault fault;
  size_t ops = events() / EVENTS_AN_OP;
  write_chain(ops);
  long before = peak_kib();
  struct trace_recording recording = tape_read("large");
  assert_int_equal(recording.ops.count, ops);
  assert_bytes("reading", before, 45);
  assert_int_equal(trace_hosts_init(&recording, &hosts, &fault), TNR_OK);
  assert_int_equal(trace_summary_make(&recording, &hosts, &summary, &fault), TNR_OK);
  assert_int_equal(summary.ops.at[0].runs, ops);
  trace_summary_finish(&summary);
  assert_int_equal(trace_path_find(&recording, &hosts, &path, &fault), TNR_OK);
  assert_true(path.steps.count >= ops);
  assert_int_equal(trace_gains_find(&recording, &hosts, &path, 3, &gains, &fault), TNR_OK);
  assert_true(gains.rows.count > 0);
  trace_gains_finish(&gains);
  trace_path_finish(&path);
  assert_int_equal(trace_check(&recording, 0, ignore, &violations, &checked, &fault), TNR_OK);
  assert_int_equal(violations, 0);
  FILE *to = fopen("/dev/null", "w");
  assert_non_null(to);
  assert_int_equal(trace_export_chrome(&recording, to, &fault), TNR_OK);
  assert_int_equal(trace_export_csv(&recording, to, &fault), TNR_OK);
  assert_int_equal(trace_export_svg(&recording, to, &fault), TNR_OK);
  assert_int_equal(fclose(to), 0);
  assert_bytes("reading, all analyses and exports", before, 120);
  trace_hosts_finish(&hosts);
  trace_recording_finish(&recording);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(take_long_recordings)};
  return cmocka_run_group_tests(tests, tape_enter, tape_leave);
}
