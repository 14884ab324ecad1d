#include "../../tools/trace/export.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "../../tools/trace/page_data.h"
#include "check.h"
#include "tape_fixture.h"

/* What there is of everything: composites in each other, a copy, a failure, counters, a promise, a
 * group, texts that have to be escaped. */
static void write_rich(const char *name) {
  const uint32_t one[] = {1}, two[] = {4, 4, 0};
  struct tape_file file = tape_open(folder_path(name), 2, 0);
  tape_submit(&file, TAPE_MAIN, 100, &(struct tape_op){.number = 1, .name = "weights"});
  tape_submit(&file, TAPE_MAIN, 200,
              &(struct tape_op){.number = 2,
                                .name = "outer",
                                .flags = TNR_TRACE_COMPOSITE,
                                .inputs = one,
                                .input_count = 1});
  tape_submit(&file, TAPE_MAIN, 250,
              &(struct tape_op){.number = 3,
                                .name = "inner",
                                .composite = "outer",
                                .parent = 2,
                                .flags = TNR_TRACE_COMPOSITE,
                                .inputs = one,
                                .input_count = 1});
  tape_submit(&file, TAPE_MAIN, 300,
              &(struct tape_op){.number = 4,
                                .name = "mat\"mul</script>",
                                .composite = "inner",
                                .parent = 3,
                                .line = 33,
                                .inputs = one,
                                .input_count = 1});
  tape_span(&file, TAPE_MAIN, TNR_TRACE_BODY, 260, 350, 3, 0);
  tape_span(&file, TAPE_MAIN, TNR_TRACE_BODY, 210, 400, 2, 0);
  tape_submit(&file, TAPE_MAIN, 450,
              &(struct tape_op){.number = 5,
                                .name = "sum\xff\xc3\xa9",
                                .group = "request 7",
                                .priority = 3,
                                .inputs = two,
                                .input_count = 3});
  tape_wake(&file, TAPE_MAIN, 460, 0xffff);
  tape_span(&file, TAPE_MAIN, TNR_TRACE_WAIT, 500, 6000, 5, TNR_TRACE_FOR_COMPLETE);
  tape_span(&file, TAPE_DISPATCHER, TNR_TRACE_REST, 0, 500, 0, TNR_TRACE_SLEPT);
  tape_counter(&file, 510, TNR_TRACE_MEMORY, 0, 4096);
  tape_counter(&file, 510, TNR_TRACE_HANDLES, 0xffff, 7);
  tape_counter(&file, 510, TNR_TRACE_CPU_TIME, TAPE_MAIN, 1000);
  for (uint32_t op = 1; op <= 5; op += op == 1 ? 3 : 1) {
    tape_resolve(&file, 520 + op, op, 0);
    tape_launch(&file, 520 + op, op, op == 5);
  }
  tape_move(&file, 700, 1, 0xffff, 0, 4096);
  tape_run(&file, 650, 50, 1000, 1, 0, NULL);
  tape_run(&file, 1000, 100, 2000, 4, 0, "mat\"mul</script>");
  tape_signal(&file, 2000, 0);
  tape_error(&file, 2500, 5, TNR_EKERNEL, "there is no \"sum\"");
  tape_run(&file, 2100, 0, 2600, 5, 1, "sum");
  tape_complete(&file, 2100, 1, TNR_OK);
  tape_complete(&file, 2110, 4, TNR_OK);
  tape_complete(&file, 2700, 5, TNR_EKERNEL);
  tape_counter(&file, 2800, TNR_TRACE_CPU_TIME, TAPE_MAIN, 2000);
  tape_span(&file, TAPE_DISPATCHER, TNR_TRACE_CALLBACK, 2810, 3000, 5, 0);
  tape_close(&file, 0, true);
}

/* ---- what scripts say of it ---- */

static void write_as(trace_export_fn *write, const struct trace_recording *recording,
                     const char *name) {
  tnr_fault fault;
  FILE *to = fopen(folder_path(name), "w");
  assert_non_null(to);
  assert_int_equal(write(recording, to, &fault), TNR_OK);
  assert_int_equal(fclose(to), 0);
}

/* Standard output and error of "SCRIPT FILE", which must succeed. */
static const char *ask(const char *script, const char *name) {
  static char text[4096];
  char line[512];
  snprintf(line, sizeof line, "python3 %s/../%s %s 2>&1", TENOR_TEST_DATA, script,
           folder_path(name));
  FILE *from = popen(line, "r");
  assert_non_null(from);
  text[fread(text, 1, sizeof text - 1, from)] = '\0';
  if (pclose(from) != 0)
    fail_msg("%s", text);
  return text;
}

static void assert_says(const char *text, const char *part) {
  if (!strstr(text, part))
    fail_msg("'%s' does not say '%s'", text, part);
}

static const char *slurp_text(const char *name) {
  static char text[1 << 16];
  FILE *from = fopen(folder_path(name), "r");
  assert_non_null(from);
  text[fread(text, 1, sizeof text - 1, from)] = '\0';
  fclose(from);
  return text;
}

/* ---- tests ---- */

static void chrome_events_are_such_as_others_load(void **state) {
  (void)state;
  write_rich("rich");
  struct trace_recording recording = tape_read("rich");
  write_as(trace_export_chrome, &recording, "rich.json");
  const char *said = ask("trace_json.py", "rich.json");
  assert_says(said, " b=2 e=2 f=3 i=6 s=3\n");
  assert_says(said, "named: dev:0, dev:1, devices, dispatcher, hand made, main, worker of dev:0, "
                    "worker of dev:1");
  const char *text = slurp_text("rich.json");
  assert_says(text, "\"name\":\"copy host → dev:0\"");
  assert_says(text, "\"attrs\":\"fast\",\"inputs\":\"f32[2, 3]\\u000af32[3]\"");
  assert_says(text, "\"site\":\"model.c:33\",\"composite\":\"inner\",\"parent\":3");
  assert_says(text, "\"group\":\"request 7\",\"priority\":3");
  assert_says(text, "\"status\":\"TNR_EKERNEL\",\"error\":\"there is no \\\"sum\\\"\"");
  assert_says(text, "\"name\":\"memory (bytes)\"");
  assert_says(text, "\"args\":{\"dev:0\":4096}");
  assert_says(said, "composites: 1 tracks, 2 deep");
  assert_says(text, "\"name\":\"wake dispatcher\"");
  assert_says(text, "\"name\":\"idle: another device\"");
  assert_says(text, "\"name\":\"sum?é\"");
  trace_recording_finish(&recording);
}

/* Speedscope would take arguments for parts of names. */
static void for_speedscope_there_are_slices_without_arguments(void **state) {
  (void)state;
  write_rich("rich");
  struct trace_recording recording = tape_read("rich");
  write_as(trace_export_slices, &recording, "rich.json");
  const char *said = ask("trace_json.py", "rich.json");
  assert_says(said, " X=");
  assert_null(strstr(said, " i="));
  assert_null(strstr(said, " s="));
  assert_null(strstr(slurp_text("rich.json"), "\"op\":"));
  trace_recording_finish(&recording);
}

static void tape_composite(struct tape_file *file, uint64_t time, uint32_t number,
                           uint32_t parent) {
  tape_submit(file, TAPE_MAIN, time,
              &(struct tape_op){
                  .number = number, .parent = parent, .name = "c", .flags = TNR_TRACE_COMPOSITE});
}

/* 2 and 3 overlap in 1, and 4 comes after 2; 5 has 6 in it, which is complete after it. */
static void composites_that_overlap_have_tracks_of_their_own(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("tracks"), 1, 0);
  const struct {
    uint64_t time;
    uint32_t number;
  } ends[] = {{500, 2}, {600, 3}, {700, 4}, {900, 1}, {1000, 5}, {1100, 6}};
  tape_composite(&file, 100, 1, 0);
  tape_composite(&file, 200, 2, 1);
  tape_composite(&file, 300, 3, 1);
  tape_composite(&file, 500, 4, 1);
  tape_composite(&file, 500, 5, 0);
  tape_composite(&file, 500, 6, 5);
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    tape_complete(&file, ends[i].time, ends[i].number, TNR_OK);
  tape_close(&file, 0, true);
  struct trace_recording recording = tape_read("tracks");
  write_as(trace_export_chrome, &recording, "tracks.json");
  assert_says(ask("trace_json.py", "tracks.json"), "composites: 3 tracks, 2 deep");
  trace_recording_finish(&recording);
}

/* Threads' moments of which some are before the first that is to be shown, as of a recording in
 * flight; and slices without length. */
static void times_begin_at_zero_and_slices_have_lengths(void **state) {
  (void)state;
  const uint64_t start = 1500;
  tape_diamond("flight");
  FILE *file = fopen(folder_path("flight"), "r+");
  assert_non_null(file);
  assert_int_equal(fseek(file, offsetof(tnr_trace_file, start), SEEK_SET), 0);
  assert_int_equal(fwrite(&start, sizeof start, 1, file), 1);
  assert_int_equal(fclose(file), 0);
  struct trace_recording recording = tape_read("flight");
  assert_int_equal(recording.ops.at[0].submitted, -1400);
  write_as(trace_export_chrome, &recording, "flight.json");
  assert_says(ask("trace_json.py", "flight.json"), " f=4 ");
  assert_says(slurp_text("flight.json"), "\"submitted\":0.000");
  trace_recording_finish(&recording);

  struct tape_file empty = tape_open(folder_path("lengths"), 1, 0);
  for (uint32_t i = 1; i <= 3; i++) {
    tape_submit(&empty, TAPE_MAIN, i * 1000, &(struct tape_op){.number = i, .name = "none"});
    tape_run(&empty, i * 1000 + 200, 0, i * 1000 + 200, i, 0, "none");
  }
  tape_span(&empty, TAPE_MAIN, TNR_TRACE_CREATE, 4000, 4000, 1, 0);
  tape_close(&empty, 0, true);
  recording = tape_read("lengths");
  write_as(trace_export_chrome, &recording, "lengths.json");
  assert_says(ask("trace_json.py", "lengths.json"), " i=7\n");
  trace_recording_finish(&recording);
}

static void of_a_diamond_chrome_has_four_arrows(void **state) {
  (void)state;
  tape_diamond("diamond");
  struct trace_recording recording = tape_read("diamond");
  write_as(trace_export_chrome, &recording, "diamond.json");
  assert_says(ask("trace_json.py", "diamond.json"), " f=4 ");
  trace_recording_finish(&recording);
}

static void the_page_gets_what_is_consistent(void **state) {
  (void)state;
  static const uint64_t limits[] = {1000, 10};
  write_rich("page");
  struct trace_recording recording = tape_read("page");
  for (int i = 0; i < 2; i++) {
    tnr_fault fault;
    const struct trace_page_options options = {.file = "page", .events = limits[i]};
    FILE *to = fopen(folder_path("page.json"), "w");
    assert_non_null(to);
    assert_int_equal(trace_page_data(&recording, &options, to, &fault), TNR_OK);
    assert_int_equal(fclose(to), 0);
    assert_says(ask("trace_page.py", "page.json"),
                i == 0 ? "ops=5 lanes=6 left_out=0" : "events=10 ");
  }
  trace_recording_finish(&recording);
}

/* In it: op 2, which runs, 3 and 4, which wait; not 1, which is complete. */
static void a_page_of_a_part_has_what_is_there_meanwhile(void **state) {
  (void)state;
  tnr_fault fault;
  const struct trace_page_options options = {
      .file = "part", .events = 1000, .from = 3150, .to = 3250};
  tape_diamond("part");
  struct trace_recording recording = tape_read("part");
  FILE *to = fopen(folder_path("part.json"), "w");
  assert_non_null(to);
  assert_int_equal(trace_page_data(&recording, &options, to, &fault), TNR_OK);
  assert_int_equal(fclose(to), 0);
  assert_says(ask("trace_page.py", "part.json"), " ops=3 ");
  assert_says(slurp_text("part.json"), "\"begin\":3150,\"duration\":3250,\"length\":");
  trace_recording_finish(&recording);
}

static void rows_of_csv_have_the_columns_of_its_head(void **state) {
  (void)state;
  write_rich("csv");
  struct trace_recording recording = tape_read("csv");
  write_as(trace_export_csv, &recording, "rich.csv");
  char line[512];
  snprintf(line, sizeof line,
           "python3 -c 'import csv,sys; rows=list(csv.reader(open(sys.argv[1],\"rb\").read()"
           ".decode(\"utf-8\",\"replace\").splitlines())); "
           "assert len(rows)==6 and len(set(map(len,rows)))==1; "
           "assert rows[4][1]==\"mat\\\"mul</script>\" or rows[3][1]' %s",
           folder_path("rich.csv"));
  assert_int_equal(system(line), 0);
  const char *text = slurp_text("rich.csv");
  assert_says(text,
              "4,\"mat\"\"mul</script>\",op,3,\"model.c\",33,\"\",0,TNR_OK,300,524,\"dev:0\"");
  assert_says(text,
              ",524,,1000,1100,2000,2110,8,0,\"fast\",\"f32[2, 3] f32[3]\",\"f32[2]\",\"1\"\n");
  assert_says(text, "\"4 4 0\"\n");
  trace_recording_finish(&recording);
}

static void a_picture_is_xml_with_a_line_for_each(void **state) {
  (void)state;
  write_rich("svg");
  struct trace_recording recording = tape_read("svg");
  write_as(trace_export_svg, &recording, "rich.svg");
  char line[512];
  snprintf(line, sizeof line,
           "python3 -c 'import sys,xml.dom.minidom as m; "
           "d=m.parse(sys.argv[1]); t=[\"\".join(c.data for c in e.childNodes) "
           "for e in d.getElementsByTagName(\"text\")]; "
           "assert {\"main\",\"dispatcher\",\"dev:0\",\"dev:1\"} <= set(t), t; "
           "assert len(d.getElementsByTagName(\"rect\")) >= 8' %s",
           folder_path("rich.svg"));
  assert_int_equal(system(line), 0);
  trace_recording_finish(&recording);
}

static void an_empty_recording_is_exported_too(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("empty"), 0, 0);
  tape_close(&file, 0, true);
  struct trace_recording recording = tape_read("empty");
  write_as(trace_export_chrome, &recording, "empty.json");
  ask("trace_json.py", "empty.json");
  write_as(trace_export_svg, &recording, "empty.svg");
  write_as(trace_export_csv, &recording, "empty.csv");
  trace_recording_finish(&recording);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(chrome_events_are_such_as_others_load),
      cmocka_unit_test(for_speedscope_there_are_slices_without_arguments),
      cmocka_unit_test(composites_that_overlap_have_tracks_of_their_own),
      cmocka_unit_test(times_begin_at_zero_and_slices_have_lengths),
      cmocka_unit_test(of_a_diamond_chrome_has_four_arrows),
      cmocka_unit_test(the_page_gets_what_is_consistent),
      cmocka_unit_test(a_page_of_a_part_has_what_is_there_meanwhile),
      cmocka_unit_test(rows_of_csv_have_the_columns_of_its_head),
      cmocka_unit_test(a_picture_is_xml_with_a_line_for_each),
      cmocka_unit_test(an_empty_recording_is_exported_too),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
