/* `tenor trace` as it is called: over hand-made recordings, and over one that it makes itself. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "tape_fixture.h"

enum { TEXT_MAX = 1 << 16 };

struct outcome {
  int exit_status;
  char out[TEXT_MAX], err[TEXT_MAX];
};

static void read_text(const char *name, char *out) {
  FILE *from = fopen(folder_path(name), "r");
  assert_non_null(from);
  out[fread(out, 1, TEXT_MAX - 1, from)] = '\0';
  fclose(from);
}

/* In the folder of the recordings; what it prints is there until the next call. */
static const struct outcome *tenor(const char *arguments) {
  static struct outcome outcome;
  char line[2048];
  snprintf(line, sizeof line, "cd %s && %s </dev/null %s >out.txt 2>err.txt", folder_path("."),
           TENOR_COMMAND, arguments);
  int status = system(line);
  assert_true(WIFEXITED(status));
  outcome.exit_status = WEXITSTATUS(status);
  read_text("out.txt", outcome.out);
  read_text("err.txt", outcome.err);
  return &outcome;
}

static void assert_says(const char *text, const char *part) {
  if (!strstr(text, part))
    fail_msg("'%s' does not say '%s'", text, part);
}

static const struct outcome *exits(int exit_status, const char *arguments) {
  const struct outcome *outcome = tenor(arguments);
  if (outcome->exit_status != exit_status)
    fail_msg("tenor %s: exit status %d, not %d; %s", arguments, outcome->exit_status, exit_status,
             outcome->err);
  return outcome;
}

static size_t columns(const char *from, const char *end) {
  size_t count = 0;
  for (; from < end; from++)
    count += (*from & 0xc0) != 0x80;
  return count;
}

/* Lines of at most 80 columns, without blanks at their ends. */
static void assert_screen(const char *text) {
  for (const char *line = text; *line;) {
    const char *end = strchr(line, '\n');
    assert_non_null(end);
    if (columns(line, end) > 80 || (end > line && end[-1] == ' '))
      fail_msg("'%.*s' has %zu columns", (int)(end - line), line, columns(line, end));
    line = end + 1;
  }
}

/* ---- recordings of the folder ---- */

static void every_command_has_help(void **state) {
  (void)state;
  static const char *const names[] = {"record", "summary", "critical-path", "gaps",
                                      "diff",   "check",   "export",        "html"};
  const struct outcome *all = exits(0, "trace --help");
  assert_screen(all->out);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char arguments[64], usage[64];
    snprintf(arguments, sizeof arguments, "trace %s --help", names[i]);
    snprintf(usage, sizeof usage, "Usage: tenor trace %s ", names[i]);
    const struct outcome *help = exits(0, arguments);
    assert_says(help->out, usage);
    assert_screen(help->out);
  }
}

static void wrong_arguments_give_2(void **state) {
  (void)state;
  static const struct {
    const char *arguments, *sentence;
  } cases[] = {
      {"trace", "Usage: tenor trace"},
      {"trace what", "there is no command 'trace what'"},
      {"trace summary a b", "'b' is too many: it reads one recording"},
      {"trace summary --min 3", "unrecognized option '--min'"},
      {"trace gaps --min soon", "--min takes a time such as 50us or 2ms, not 'soon'"},
      {"trace diff a", "it compares two recordings, and 1 is given"},
      {"trace export a", "which format? say --format json, slices, svg or csv"},
      {"trace export --format pdf a", "there is no format 'pdf': it is json, slices, svg or csv"},
      {"trace html --max-events 0 a", "--max-events takes a whole number from 1"},
      {"trace html --from then a", "--from takes a time such as 50us or 2ms, not 'then'"},
      {"trace html --from 2ms --to 1ms a", "--to is not behind --from"},
      {"trace record", "there is no program to record"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_says(exits(2, cases[i].arguments)->err, cases[i].sentence);
}

static void what_cannot_be_read_gives_1_and_says_where(void **state) {
  (void)state;
  FILE *file = fopen(folder_path("garbage"), "w");
  assert_non_null(file);
  fputs("this is no recording at all", file);
  fclose(file);
  assert_says(exits(1, "trace summary none")->err, "tenor: none: No such file or directory");
  assert_says(exits(1, "trace summary")->err, "tenor: tenor.trace: No such file or directory");
  assert_says(exits(1, "trace check garbage")->err,
              "tenor: garbage: byte 0: this is no recording of tenor");
}

static void what_is_missing_is_said_first(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("lossy"), 1, 0);
  tape_whole(&file, &(struct tape_op){.number = 1, .name = "op"}, 0, 10, 50, 90);
  tape_close(&file, 1234, true);
  assert_says(exits(0, "trace summary lossy")->err,
              "tenor: lossy: 1,234 records were LOST while it was recorded");
  assert_says(exits(0, "trace summary lossy")->out, "1,234 lost\n");
  file = tape_open(folder_path("short"), 1, 0);
  tape_whole(&file, &(struct tape_op){.number = 1, .name = "op"}, 0, 10, 50, 90);
  tape_cut(&file);
  assert_says(exits(0, "trace summary short")->err, "tenor: short: cut off at byte ");
}

static void screens_say_what_the_analyses_found(void **state) {
  (void)state;
  tape_diamond("diamond");
  const struct outcome *outcome = exits(0, "trace summary diamond");
  assert_screen(outcome->out);
  assert_says(outcome->out, "hand made, 11.1 µs recorded: 4 ops; ");
  assert_says(outcome->out, "another device       4.95 µs (44.6%)");
  outcome = exits(0, "trace critical-path diamond");
  assert_screen(outcome->out);
  assert_says(outcome->out, "complete after 11.0 µs, at the end of a chain of 16 steps");
  assert_says(outcome->out, "  right                    5.70 µs  51.8%        2   5.00 µs earlier");
  outcome = exits(0, "trace gaps --min 100ns diamond");
  assert_screen(outcome->out);
  assert_says(outcome->out, "4.10 µs   5.10 µs  another device");
  assert_says(outcome->out, "before sink at model.c:13");
  assert_says(outcome->out, "waited for right at model.c:12");
  outcome = exits(0, "trace check diamond");
  assert_screen(outcome->out);
  assert_says(outcome->out, "4 ops, ");
  outcome = exits(0, "trace diff diamond diamond");
  assert_screen(outcome->out);
  assert_says(outcome->out, "+0.0%");
}

static void violations_give_1_and_are_named(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("wrong"), 1, 0);
  tape_whole(&file, &(struct tape_op){.number = 7, .name = "matmul"}, 0, 100, 150, 190);
  tape_complete(&file, 300, 7, TNR_OK);
  tape_close(&file, 0, true);
  const struct outcome *outcome = exits(1, "trace check wrong");
  assert_says(outcome->out, "every op ends once: matmul (op 7) ended twice");
  outcome = exits(1, "trace check --json wrong");
  assert_says(outcome->out, "\"rule\":\"every op ends once\"");
}

/* Python reads each of them. */
static void json_is_json(void **state) {
  (void)state;
  static const char *const commands[] = {"summary diamond", "critical-path diamond",
                                         "gaps --min 0ns diamond", "diff diamond diamond",
                                         "check diamond"};
  tape_diamond("diamond");
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    char arguments[100], line[300];
    snprintf(arguments, sizeof arguments, "trace %s --json", commands[i]);
    exits(0, arguments);
    snprintf(line, sizeof line, "python3 -m json.tool %s >%s", folder_path("out.txt"),
             folder_path("tool.txt"));
    assert_int_equal(system(line), 0);
  }
}

static void exports_go_where_they_are_told(void **state) {
  (void)state;
  tape_diamond("diamond");
  assert_says(exits(0, "trace export --format csv diamond")->out, "op,name,kind,");
  exits(0, "trace export -o out.svg diamond");
  char text[TEXT_MAX];
  read_text("out.svg", text);
  assert_says(text, "<svg ");
  assert_says(exits(0, "trace export --format json - < diamond")->out, "\"traceEvents\":[");
  assert_says(exits(1, "trace export -o none/out.json diamond")->err,
              "none/out.json: No such file");
  assert_int_equal(symlink("/dev/full", folder_path("full")), 0); /* so that it is not in danger */
  assert_says(exits(1, "trace export -o full --format json diamond")->err, "full: cannot write");
  exits(0, "trace html --from 2us --to 4us diamond");
  exits(0, "trace html diamond");
  read_text("diamond.html", text);
  assert_says(text, "<script ");
}

/* ---- what it records itself ---- */

static void a_program_is_recorded(void **state) {
  (void)state;
  const struct outcome *outcome =
      exits(0, "trace record -o run.trace -- " TENOR_COMMAND " run " TENOR_TEST_DATA
               "/tiny.onnx --input image=" TENOR_TEST_DATA
               "/tiny_image.npy --batch 1 --devices cpu:0,cpu:1");
  assert_says(outcome->err, "tenor: wrote run.trace (");
  assert_says(outcome->out, "images/s");
  outcome = exits(0, "trace summary run.trace");
  assert_says(outcome->out, "conv2d ");
  assert_screen(outcome->out);
  assert_screen(exits(0, "trace critical-path run.trace")->out);
  assert_screen(exits(0, "trace gaps run.trace")->out);
  assert_says(exits(0, "trace check run.trace")->out, "all held");
  exits(0, "trace export -o run.json run.trace");
  char line[600];
  snprintf(line, sizeof line, "python3 %s/../trace_json.py %s >%s", TENOR_TEST_DATA,
           folder_path("run.json"), folder_path("tool.txt"));
  assert_int_equal(system(line), 0);
}

static void its_exit_status_is_the_programs(void **state) {
  (void)state;
  assert_says(exits(3, "trace record -- sh -c 'exit 3'")->err,
              "nothing was written to tenor.trace");
  exits(128 + 15, "trace record -- sh -c 'kill -TERM $$'");
  assert_says(exits(127, "trace record -- /none/at/all")->err, "cannot start '/none/at/all'");
  exits(0, "trace record --flight -o f.trace -- sh -c 'test $TENOR_TRACE = flight:$PWD/f.trace'");
}

static void signals_reach_the_program(void **state) {
  (void)state;
  exits(9, "trace record -- sh -c 'trap \"exit 9\" TERM; kill -TERM $PPID; "
           "while :; do sleep 0.01; done'");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_command_has_help),
      cmocka_unit_test(wrong_arguments_give_2),
      cmocka_unit_test(what_cannot_be_read_gives_1_and_says_where),
      cmocka_unit_test(what_is_missing_is_said_first),
      cmocka_unit_test(screens_say_what_the_analyses_found),
      cmocka_unit_test(violations_give_1_and_are_named),
      cmocka_unit_test(json_is_json),
      cmocka_unit_test(exports_go_where_they_are_told),
      cmocka_unit_test(a_program_is_recorded),
      cmocka_unit_test(its_exit_status_is_the_programs),
      cmocka_unit_test(signals_reach_the_program),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
