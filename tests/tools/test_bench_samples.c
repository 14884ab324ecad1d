#define _GNU_SOURCE /* cpu_set_t */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_cpus.h"
#include "bench_sampled.h"
#include "bench_samples.h"

/* Scripts stand in for the CPUs and for what is measured: the N-th sample that is made takes N ns,
 * by which it is told which one was kept. Looking takes a ns of the world's clock, resting 5,
 * measuring 100. */
enum { LOOKS_MAX = 64, SUBJECTS = 2 };

struct world {
  uint64_t now;
  uint64_t paces[LOOKS_MAX]; /* of the N-th look; a 0 and what follows it: the one before */
  int looks, rests, measured;
  int looked_for[LOOKS_MAX], measured_of[LOOKS_MAX]; /* subjects */
};

static struct cpu_pace look(void *user, int subject) {
  struct world *world = user;
  int at = world->looks;
  assert_true(at < LOOKS_MAX);
  while (at > 0 && world->paces[at] == 0)
    at--;
  world->now++;
  world->looked_for[world->looks++] = subject;
  return (struct cpu_pace){.median = world->paces[at], .least = world->paces[at]};
}

static double measure(void *user, int subject) {
  struct world *world = user;
  assert_true(world->measured < LOOKS_MAX);
  world->now += 100;
  world->measured_of[world->measured++] = subject;
  return world->measured;
}

static uint64_t now(void *user) {
  return ((struct world *)user)->now;
}

static void rest(void *user) {
  struct world *world = user;
  world->now += 5;
  world->rests++;
}

struct bench {
  struct sampling *sampling;
  struct samples *samples;
};

static struct bench bench_of(bool again, uint64_t patience, int subjects, long turns) {
  struct bench bench = {.sampling = sampling_create(again, patience)};
  bench.samples = samples_create(bench.sampling, subjects, turns);
  return bench;
}

static void bench_finish(struct bench *bench) {
  samples_destroy(bench->samples);
  sampling_destroy(bench->sampling);
}

static void settle(struct bench *bench, struct world *world) {
  const struct sampler sampler = {measure, look, now, rest, world};
  samples_settle(bench->samples, &sampler);
}

static void assert_kept(const struct bench *bench, long turn, int subject, double ns,
                        bool undisturbed) {
  assert_true(bench->samples->turns[turn].of[subject].ns == ns);
  assert_int_equal(sample_is_undisturbed(bench->samples, turn, subject), undisturbed);
}

/* --- judging ---------------------------------------------------------------------------------- */

static void nine_tenths_of_the_best_pace_are_undisturbed(void **state) {
  (void)state;
  assert_true(cpu_pace_is_full(100, 100));
  assert_true(cpu_pace_is_full(111, 100));
  assert_false(cpu_pace_is_full(112, 100));
}

static void a_pace_is_measured(void **state) {
  (void)state;
  struct cpu_pace pace = cpu_pace_measure(3, 1000);
  assert_true(pace.least > 0);
  assert_true(pace.median >= pace.least);
}

static void threads_that_find_no_other_cpu_share(void **state) {
  (void)state;
  assert_int_equal(cpus_runnable("5.05 4.03 3.44 4/100 27167\n"), 4);
  assert_int_equal(cpus_runnable("nonsense"), 0);
  assert_false(cpus_are_shared(1, 2, 2));
  assert_true(cpus_are_shared(2, 2, 2));
  assert_false(cpus_are_shared(2, 1, 2));
  assert_true(cpus_are_shared(3, 1, 2));
  assert_false(cpus_are_shared(0, 2, 2));
}

static void a_look_leaves_the_thread_on_the_last_cpu(void **state) {
  (void)state;
  cpu_set_t allowed = cpus_allowed();
  struct cpu_pace pace = cpus_look(&allowed, CPUS_ALL);
  assert_true(pace.least > 0 && pace.median >= pace.least);
  cpu_set_t now = cpus_allowed();
  assert_int_equal(CPU_COUNT(&now), 1);
  cpus_use_all(&allowed);
  now = cpus_allowed();
  assert_true(CPU_EQUAL(&now, &allowed));
}

static void the_slower_of_before_and_after_judges(void **state) {
  (void)state;
  struct bench bench = bench_of(false, 0, 1, 3);
  struct world world = {.paces = {100, 111, 120, 100, 100, 120}};
  settle(&bench, &world);
  assert_kept(&bench, 0, 0, 1, true);
  assert_kept(&bench, 1, 0, 2, false);
  assert_kept(&bench, 2, 0, 3, false);
  assert_int_equal(bench.samples->turns[1].of[0].pace, 120);
  assert_int_equal(samples_undisturbed(bench.samples), 1);
  assert_int_equal(bench.sampling->made, 3);
  assert_int_equal(world.rests, 0);
  bench_finish(&bench);
}

static void each_subject_is_judged_by_its_own_cpus(void **state) {
  (void)state;
  struct bench bench = bench_of(false, 0, SUBJECTS, 2);
  struct world world = {.paces = {100}};
  settle(&bench, &world);
  static const int looked_for[] = {0, 0, 1, 1, 0, 0, 1, 1}, measured_of[] = {0, 1, 0, 1};
  assert_int_equal(world.looks, 8);
  assert_memory_equal(world.looked_for, looked_for, sizeof looked_for);
  assert_int_equal(world.measured, 4);
  assert_memory_equal(world.measured_of, measured_of, sizeof measured_of);
  bench_finish(&bench);
}

/* --- making again ----------------------------------------------------------------------------- */

static void a_disturbed_sample_is_made_again_and_no_other(void **state) {
  (void)state;
  struct bench bench = bench_of(true, 1000, SUBJECTS, 1);
  struct world world = {.paces = {100, 200, 100, 100, 100, 100}};
  settle(&bench, &world);
  static const int measured_of[] = {0, 0, 1};
  assert_int_equal(world.measured, 3);
  assert_memory_equal(world.measured_of, measured_of, sizeof measured_of);
  assert_kept(&bench, 0, 0, 2, true);
  assert_kept(&bench, 0, 1, 3, true);
  assert_false(samples_are_open(bench.samples));
  bench_finish(&bench);
}

static void a_sample_waits_until_the_cpus_are_at_their_pace(void **state) {
  (void)state;
  struct bench bench = bench_of(true, 1000, 1, 1);
  struct world world = {.paces = {200, 200, 150, 100}};
  sampling_note(bench.sampling, (struct cpu_pace){100, 100});
  settle(&bench, &world);
  assert_int_equal(world.rests, 3);
  assert_int_equal(world.measured, 1);
  assert_kept(&bench, 0, 0, 1, true);
  bench_finish(&bench);
}

static void the_least_disturbed_counts_when_patience_is_over(void **state) {
  (void)state;
  struct bench bench = bench_of(true, 350, 1, 1);
  struct world world = {.paces = {100, 180, 100, 150, 100, 170, 100, 160, 100}};
  settle(&bench, &world);
  assert_int_equal(world.measured, 4);
  assert_kept(&bench, 0, 0, 2, false);
  assert_int_equal(bench.samples->turns[0].of[0].pace, 150);
  assert_false(samples_are_open(bench.samples));
  bench_finish(&bench);
}

static void what_never_has_pace_is_made_once(void **state) {
  (void)state;
  struct bench bench = bench_of(true, 200, SUBJECTS, 2);
  struct world world = {.paces = {200}};
  sampling_note(bench.sampling, (struct cpu_pace){100, 100});
  bench.sampling->patience = 20; /* of each turn, for both subjects */
  settle(&bench, &world);
  assert_int_equal(world.measured, 4);
  assert_int_equal(bench.sampling->made, 4);
  assert_int_equal(samples_undisturbed(bench.samples), 0);
  assert_false(samples_are_open(bench.samples));
  bench_finish(&bench);
}

static void without_the_option_nothing_is_made_again(void **state) {
  (void)state;
  struct bench bench = bench_of(false, 1000, 1, 2);
  struct world world = {.paces = {100, 200, 200, 200}};
  settle(&bench, &world);
  assert_int_equal(world.measured, 2);
  assert_int_equal(world.rests, 0);
  assert_kept(&bench, 0, 0, 1, false);
  assert_false(samples_are_open(bench.samples));
  bench_finish(&bench);
}

/* Both pass for undisturbed until the second is over: then the CPUs turn out to be faster. */
static void a_better_pace_later_proves_samples_disturbed(void **state) {
  (void)state;
  struct bench bench = bench_of(true, 1000, 1, 2);
  struct world world = {.paces = {150, 150, 150, 100}};
  settle(&bench, &world);
  assert_kept(&bench, 0, 0, 4, true);
  assert_kept(&bench, 1, 0, 3, true);
  assert_int_equal(bench.sampling->best, 100);
  bench_finish(&bench);
}

static void another_process_goes_on_where_one_ended(void **state) {
  (void)state;
  struct bench bench = bench_of(true, 1000, 1, 1);
  assert_true(samples_are_open(bench.samples));
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    struct world world = {.paces = {100}};
    settle(&bench, &world);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_kept(&bench, 0, 0, 1, true);
  assert_false(samples_are_open(bench.samples));
  sampling_note(bench.sampling, (struct cpu_pace){50, 50});
  assert_true(samples_are_open(bench.samples));
  bench_finish(&bench);
}

/* --- what is reported ------------------------------------------------------------------------- */

/* Three turns of two subjects; the paces of each, where 100 is the best. */
static struct bench made(bool again, const uint64_t paces[3][SUBJECTS]) {
  struct bench bench = bench_of(again, 0, SUBJECTS, 3);
  sampling_note(bench.sampling, (struct cpu_pace){100, 100});
  for (int turn = 0; turn < 3; turn++)
    for (int i = 0; i < SUBJECTS; i++)
      bench.samples->turns[turn].of[i] = (struct sample){(turn + 1) * (i + 1) * 10, paces[turn][i]};
  return bench;
}

static const struct sampled_figure time_of_first = {
    .which = {.workload = "w", .subject = "first", .metric = "time", .unit = "ns"}, .base = -1};

static void medians_are_of_undisturbed_turns(void **state) {
  (void)state;
  struct bench bench =
      made(true, (const uint64_t[3][SUBJECTS]){{100, 100}, {200, 100}, {100, 200}});
  struct report report = {.bench = "test", .cpus = "any"};
  struct sampled_figure ratio = time_of_first;
  ratio.which.metric = "ratio";
  ratio.subject = 1;
  ratio.base = 0;
  report_add_sampled(&report, &time_of_first, bench.samples);
  report_add_sampled(&report, &ratio, bench.samples);
  const struct figure *time = report_find(&report, "w", "first", "time");
  assert_int_equal(time->repeats, 2);
  assert_true(figure_median(time) == 20); /* of 10 and 30 */
  assert_int_equal(time->turns, 3);
  assert_int_equal(time->undisturbed, 2);
  assert_false(figure_is_disturbed(time));
  /* Both must be undisturbed. */
  const struct figure *quotient = report_find(&report, "w", "first", "ratio");
  assert_int_equal(quotient->repeats, 1);
  assert_true(figure_median(quotient) == 0.5);
  report_finish(&report);
  bench_finish(&bench);
}

static void where_there_is_none_they_are_of_all_and_marked(void **state) {
  (void)state;
  struct bench bench =
      made(true, (const uint64_t[3][SUBJECTS]){{200, 100}, {200, 100}, {200, 100}});
  struct report report = {.bench = "test", .cpus = "any"};
  report_add_sampled(&report, &time_of_first, bench.samples);
  const struct figure *time = report_find(&report, "w", "first", "time");
  assert_int_equal(time->repeats, 3);
  assert_int_equal(time->undisturbed, 0);
  assert_true(figure_is_disturbed(time));
  assert_false(figure_is_disturbed(NULL));
  report_finish(&report);
  bench_finish(&bench);
}

static void without_the_option_they_are_of_all(void **state) {
  (void)state;
  struct bench bench =
      made(false, (const uint64_t[3][SUBJECTS]){{100, 100}, {200, 100}, {100, 100}});
  struct report report = {.bench = "test", .cpus = "any"};
  struct sampled_figure rate = time_of_first;
  rate.work = 100;
  report_add_sampled(&report, &rate, bench.samples);
  const struct figure *figure = report_find(&report, "w", "first", "time");
  assert_int_equal(figure->repeats, 3);
  assert_true(figure_median(figure) == 5);
  assert_int_equal(figure->undisturbed, 2);
  assert_true(figure_is_disturbed(figure));
  report_finish(&report);
  bench_finish(&bench);
}

static void a_report_counts_the_samples_of_all_problems(void **state) {
  (void)state;
  struct bench bench =
      made(true, (const uint64_t[3][SUBJECTS]){{100, 100}, {200, 100}, {100, 200}});
  struct report report = {.bench = "test", .cpus = "any"};
  const struct sampled all[] = {{.samples = bench.samples}, {.samples = bench.samples}};
  bench.sampling->made = 17;
  report_note_pace(&report, all, 2);
  assert_int_equal(report.pace.samples, 12);
  assert_int_equal(report.pace.undisturbed, 8);
  assert_int_equal(report.pace.made, 17);
  assert_true(report.pace.best == 100);
  bench_finish(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nine_tenths_of_the_best_pace_are_undisturbed),
      cmocka_unit_test(a_pace_is_measured),
      cmocka_unit_test(threads_that_find_no_other_cpu_share),
      cmocka_unit_test(a_look_leaves_the_thread_on_the_last_cpu),
      cmocka_unit_test(the_slower_of_before_and_after_judges),
      cmocka_unit_test(each_subject_is_judged_by_its_own_cpus),
      cmocka_unit_test(a_disturbed_sample_is_made_again_and_no_other),
      cmocka_unit_test(a_sample_waits_until_the_cpus_are_at_their_pace),
      cmocka_unit_test(the_least_disturbed_counts_when_patience_is_over),
      cmocka_unit_test(what_never_has_pace_is_made_once),
      cmocka_unit_test(without_the_option_nothing_is_made_again),
      cmocka_unit_test(a_better_pace_later_proves_samples_disturbed),
      cmocka_unit_test(another_process_goes_on_where_one_ended),
      cmocka_unit_test(medians_are_of_undisturbed_turns),
      cmocka_unit_test(where_there_is_none_they_are_of_all_and_marked),
      cmocka_unit_test(without_the_option_they_are_of_all),
      cmocka_unit_test(a_report_counts_the_samples_of_all_problems),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
