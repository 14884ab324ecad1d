#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SIZE = 96, PRODUCTS_A_ROUND = 10, CHAINS = 400, ROUNDS = 60, TICKS_MAX = 100000 };

/* A matrix that is multiplied again and again; its callback is embedded in it. */
typedef struct chain {
  load *of;
  tnr_continuation done;
  tnr_future *last; /* of the round under way; owned */
  int rounds_left;
} chain;

struct load {
  tnr_runtime *runtime;
  tnr_mailbox *mailbox;
  tnr_tensor *shift; /* times this, the columns of a matrix move to the right by one */
  chain *chains;
  int chain_count, round_count;
  int running; /* chains */
  int callbacks, wrong;
  int64_t began, ended; /* ns */
  int64_t last_tick;    /* ns; 0: there was none */
  int64_t *late;        /* [TICKS_MAX], ns: how much later than due */
  int ticks;
};

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, tnr_error() ? tnr_error_message(tnr_error()) : "no memory");
  exit(1);
}

static void *must(void *handle, const char *what) {
  if (!handle)
    die(what);
  return handle;
}

static void must_be_ok(tnr_status status, const char *what) {
  if (status != TNR_OK)
    die(what);
}

int64_t load_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- the matrices; all sums are exact ---- */

static float start_value(int chain, int row, int column) {
  return (float)((chain + 7 * row + 3 * column) % 1000);
}

static tnr_tensor *matrix(tnr_device *device, const float *data) {
  return must(tnr_tensor_create(device, TNR_F32, TNR_SHAPE(SIZE, SIZE), data), "a matrix");
}

static tnr_tensor *shift_matrix(tnr_device *device) {
  static float data[SIZE * SIZE];
  for (int row = 0; row < SIZE; row++)
    data[row * SIZE + (row + 1) % SIZE] = 1;
  return matrix(device, data);
}

static tnr_tensor *start_matrix(tnr_device *device, int chain) {
  static float data[SIZE * SIZE];
  for (int i = 0; i < SIZE * SIZE; i++)
    data[i] = start_value(chain, i / SIZE, i % SIZE);
  return matrix(device, data);
}

static bool is_right(const load *l, int chain, const float *data) {
  int moved = l->round_count * PRODUCTS_A_ROUND;
  for (int row = 0; row < SIZE; row++)
    for (int column = 0; column < SIZE; column++)
      if (data[row * SIZE + (column + moved) % SIZE] != start_value(chain, row, column))
        return false;
  return true;
}

/* ---- rounds ---- */

static void on_round_done(tnr_value future, void *user);

/* Ten products, each of which needs the one before; the callback comes with the last. Nothing here
 * waits, and nothing is allocated for the callback. */
static void begin_round(chain *c, tnr_future *from) {
  must_be_ok(tnr_scope_open(), "a scope");
  tnr_future *product = from;
  for (int i = 0; i < PRODUCTS_A_ROUND; i++)
    product = tnr_matmul(product, c->of->shift);
  c->last = must(tnr_keep(product), "a product");
  must_be_ok(tnr_scope_close(), "a scope");
  must_be_ok(tnr_attach(c->last, TNR_COMPLETE, &c->done, .mailbox = c->of->mailbox), "a callback");
}

static void check_result(chain *c, tnr_future *result) {
  static float data[SIZE * SIZE];
  tnr_tensor *tensor = must(tnr_get(result), "a result"); /* complete: this does not wait */
  must_be_ok(tnr_tensor_read(tensor, data, sizeof data), "a result");
  c->of->wrong += !is_right(c->of, (int)(c - c->of->chains), data);
  tnr_release(tensor);
}

/* On the loop's thread, in its dispatch. */
static void on_round_done(tnr_value future, void *user) {
  (void)future;
  chain *c = user;
  tnr_future *before = c->last;
  c->of->callbacks++;
  if (--c->rounds_left > 0) {
    begin_round(c, before);
  } else {
    check_result(c, before);
    if (--c->of->running == 0)
      c->of->ended = load_now();
  }
  tnr_release(before);
}

static void begin_chain(load *l, int index, tnr_device *device) {
  chain *c = &l->chains[index];
  c->of = l;
  c->rounds_left = l->round_count;
  tnr_continuation_init(&c->done, on_round_done, c);
  tnr_tensor *start = start_matrix(device, index);
  tnr_future *from = must(tnr_to_async(start), "a future");
  begin_round(c, from);
  tnr_release(from);
  tnr_release(start);
}

/* ---- life ---- */

static int argument(int argc, char **argv, int index, int otherwise) {
  int number = argc > index ? atoi(argv[index]) : otherwise;
  if (number > 0)
    return number;
  fprintf(stderr, "Usage: %s [CHAINS [ROUNDS]]\n", argv[0]);
  exit(2);
}

load *load_start(int argc, char **argv) {
  load *l = must(calloc(1, sizeof *l), "starting");
  l->chain_count = l->running = argument(argc, argv, 1, CHAINS);
  l->round_count = argument(argc, argv, 2, ROUNDS);
  l->chains = must(calloc((size_t)l->chain_count, sizeof *l->chains), "starting");
  l->late = must(calloc(TICKS_MAX, sizeof *l->late), "starting");
  l->runtime = must(tnr_runtime_create(NULL), "a runtime");
  l->mailbox = must(tnr_mailbox_create(l->runtime), "a mailbox");
  tnr_device *device = tnr_runtime_device_at(l->runtime, 0);
  l->shift = shift_matrix(device);
  l->began = load_now();
  for (int i = 0; i < l->chain_count; i++)
    begin_chain(l, i, device);
  return l;
}

tnr_mailbox *load_mailbox(load *l) {
  return l->mailbox;
}

bool load_is_over(const load *l) {
  return l->running == 0;
}

void load_tick(load *l) {
  int64_t now = load_now(), late = now - l->last_tick - LOAD_TICK_MS * 1000000ll;
  if (l->last_tick && l->ticks < TICKS_MAX)
    l->late[l->ticks++] = late > 0 ? late : 0;
  l->last_tick = now;
}

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static double late_ms(const load *l, double share) {
  int at = (int)(share * (l->ticks - 1) + 0.5);
  return l->ticks ? (double)l->late[at] / 1e6 : 0;
}

int load_finish(load *l, const char *loop) {
  must_be_ok(tnr_runtime_destroy(l->runtime, TNR_DRAIN), "the end");
  must_be_ok(tnr_mailbox_destroy(l->mailbox), "the end");
  tnr_release(l->shift);
  qsort(l->late, (size_t)l->ticks, sizeof *l->late, compare);
  printf("%s: %d matrix products in %.2f s, %d callbacks; %s\n", loop,
         l->chain_count * l->round_count * PRODUCTS_A_ROUND, (double)(l->ended - l->began) / 1e9,
         l->callbacks, l->wrong ? "RESULTS ARE WRONG" : "all results are right");
  printf("%s: a timer of %d ms, %d ticks: late by p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", loop,
         LOAD_TICK_MS, l->ticks, late_ms(l, 0.5), late_ms(l, 0.99), late_ms(l, 1));
  int status = l->wrong || l->running || l->callbacks != l->chain_count * l->round_count;
  free(l->late);
  free(l->chains);
  free(l);
  return status;
}
