/* What drivers derive from a tensor's data and hang on its storage. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "devices/derived.h"

typedef struct item {
  tnr_derived base;
  int number;
  atomic_int *destroyed;
} item;

static void destroy(tnr_derived *derived) {
  atomic_fetch_add(((item *)derived)->destroyed, 1);
  free(derived);
}

static void add(tnr_derived_list *list, int number, atomic_int *destroyed) {
  item *made = malloc(sizeof *made);
  *made = (item){{.owner = list, .destroy = destroy}, number, destroyed};
  tnr_derived_add(list, &made->base);
}

static void the_youngest_comes_first_and_all_are_destroyed(void **state) {
  (void)state;
  tnr_derived_list list = {NULL};
  atomic_int destroyed = 0;
  assert_null(tnr_derived_first(&list));
  for (int i = 0; i < 10; i++)
    add(&list, i, &destroyed);
  int number = 9;
  for (const tnr_derived *at = tnr_derived_first(&list); at; at = at->next, number--) {
    assert_int_equal(((const item *)at)->number, number);
    assert_ptr_equal(at->owner, &list);
  }
  assert_int_equal(number, -1);
  tnr_derived_finish(&list);
  assert_int_equal(destroyed, 10);
  assert_null(tnr_derived_first(&list));
}

enum { THREADS = 4, EACH = 2000 };

typedef struct adder {
  tnr_derived_list *list;
  atomic_int *destroyed, *wrong;
  int index;
  pthread_t thread;
} adder;

/* Adds, and reads what others add. */
static void *add_many(void *argument) {
  adder *a = argument;
  for (int i = 0; i < EACH; i++) {
    add(a->list, a->index * EACH + i, a->destroyed);
    const tnr_derived *first = tnr_derived_first(a->list);
    if (first->owner != a->list || ((const item *)first)->number >= THREADS * EACH)
      atomic_fetch_add(a->wrong, 1);
  }
  return NULL;
}

static void many_threads_may_add_and_look_at_once(void **state) {
  (void)state;
  tnr_derived_list list = {NULL};
  atomic_int destroyed = 0, wrong = 0;
  adder adders[THREADS];
  for (int i = 0; i < THREADS; i++) {
    adders[i] = (adder){.list = &list, .destroyed = &destroyed, .wrong = &wrong, .index = i};
    assert_int_equal(pthread_create(&adders[i].thread, NULL, add_many, &adders[i]), 0);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(adders[i].thread, NULL);
  tnr_derived_finish(&list);
  assert_int_equal(wrong, 0);
  assert_int_equal(destroyed, THREADS * EACH);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_youngest_comes_first_and_all_are_destroyed),
      cmocka_unit_test(many_threads_may_add_and_look_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
