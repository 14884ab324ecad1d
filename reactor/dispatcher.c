#include "dispatcher.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cancel.h"
#include "live.h"
#include "record.h"
#include "thread.h"

/* How much of each queue one turn takes: what is touched twice in a turn is still in the cache
 * then, and none waits long for another. With 64 submissions a turn, who submits takes up to 7 %
 * longer (W1 of tenor bench dispatch). */
enum { SUBMISSIONS_A_TURN = 16, SIGNALS_A_TURN = 64, LETTERS_A_TURN = 64, PREFETCH_AHEAD = 8 };

/* ---- into the inbox: any thread ---- */

static void write_wake_fd(tnr_runtime *runtime) {
  uint64_t one = 1;
  /* relaxed: a counter */
  atomic_fetch_add_explicit(&runtime->wakes, 1, memory_order_relaxed);
  tnr_record_wake(runtime, NULL);
  while (write(runtime->wake_fd, &one, sizeof one) == -1 && errno == EINTR) {
  }
}

void tnr_dispatcher_wake(void *runtime) {
  tnr_record_signal(runtime);
  if (tnr_parker_claim(&((tnr_runtime *)runtime)->sleep))
    write_wake_fd(runtime);
}

void tnr_dispatcher_mail_came(tnr_runtime *runtime) {
  if (runtime->mode == TNR_THREADS || tnr_crank_call(runtime))
    tnr_dispatcher_wake(runtime);
}

void tnr_dispatcher_look_again(tnr_runtime *runtime) {
  if (tnr_crank_look_again(runtime)) /* it may be about to sleep */
    write_wake_fd(runtime);
}

static tnr_status put_result(tnr_runtime *runtime, tnr_inbox_result result) {
  switch (result) {
  case TNR_INBOX_TAKEN_WAKE:
    if (runtime->mode == TNR_THREADS || tnr_crank_call(runtime))
      write_wake_fd(runtime);
    return TNR_OK;
  case TNR_INBOX_TAKEN:
    return TNR_OK;
  case TNR_INBOX_CLOSED:
    return TNR_ECLOSED;
  case TNR_INBOX_NO_MEMORY:
    break;
  }
  return TNR_ENOMEM;
}

/* A composite's body that had to wait belongs to what was submitted before the end. */
static bool may_submit_late(const tnr_runtime *runtime) {
  return tnr_on_dispatcher(runtime) && runtime->in_body;
}

const char *tnr_dispatcher_refusal(tnr_status status) {
  return status == TNR_ECLOSED ? "the runtime has been closed"
                               : "out of memory for the dispatcher's inbox";
}

bool tnr_dispatcher_takes(const tnr_runtime *runtime) {
  /* acquire: pairs with the release in tnr_dispatcher_close */
  return !atomic_load_explicit(&runtime->close_requested, memory_order_acquire) ||
         may_submit_late(runtime);
}

/* Where it will run as soon as the dispatcher is awake; NULL where that is not known. */
static tnr_lane *next_stop(const tnr_op *op) {
  for (uint32_t i = 0; i < op->in_count; i++)
    if (!tnr_op_input_is_tensor(&op->in[i]) &&
        tnr_future_get_state(tnr_future_source((tnr_future *)op->in[i].handle)) ==
            TNR_FUTURE_PENDING)
      return NULL;
  const tnr_mesh *mesh = tnr_op_known_mesh(op);
  return mesh ? tnr_lane_of(tnr_mesh_first(mesh)) : NULL;
}

tnr_status tnr_dispatcher_put_op(tnr_runtime *runtime, tnr_op *op) {
  /* before it is put, since it is the dispatcher's then */
  tnr_lane *lane = tnr_inbox_is_asleep(&runtime->inbox) ? next_stop(op) : NULL;
  tnr_inbox_result result = tnr_inbox_put_op(&runtime->inbox, op, false);
  if (result == TNR_INBOX_TAKEN)
    return TNR_OK;
  if (result == TNR_INBOX_CLOSED && may_submit_late(runtime))
    result = tnr_inbox_put_op(&runtime->inbox, op, true);
  tnr_status status = put_result(runtime, result);
  if (lane && result == TNR_INBOX_TAKEN_WAKE)
    tnr_lane_expect(lane);
  return status;
}

tnr_status tnr_dispatcher_put_message(tnr_runtime *runtime, tnr_message *message) {
  return put_result(runtime,
                    tnr_inbox_put_message(&runtime->inbox, message, may_submit_late(runtime)));
}

tnr_status tnr_dispatcher_put_always(tnr_runtime *runtime, tnr_message *message) {
  return put_result(runtime, tnr_inbox_put_message(&runtime->inbox, message, true));
}

/* ---- one turn: dispatcher ---- */

static void take_signals_of(tnr_lane *lane, int limit) {
  tnr_worker *worker = &lane->device->worker;
  uint32_t waiting = tnr_ring_look(&worker->done);
  if (waiting > 0)
    tnr_record_batch(lane->device->machine->runtime);
  for (int taken = 0; waiting > 0 && taken < limit; waiting--, taken++) {
    tnr_op_item_prefetch(tnr_ring_peek(&worker->done, PREFETCH_AHEAD));
    tnr_op_take_signal(lane, (tnr_op_item)tnr_ring_pop(&worker->done));
  }
}

/* worker → dispatcher: activates the completion events of what has finished. */
static void take_signals(tnr_runtime *runtime) {
  for (int i = 0; i < runtime->machine.count; i++)
    take_signals_of(&runtime->lanes[i], SIGNALS_A_TURN);
}

static void prefetch_submission(uintptr_t item) {
  if (item && !(item & 1))
    tnr_op_prefetch((tnr_op *)item);
}

/* any thread → dispatcher */
static bool take_submission(tnr_runtime *runtime) {
  uintptr_t item = tnr_inbox_next(&runtime->inbox);
  if (!item)
    return false;
  if (runtime->inbox.taken_at == 1) /* the first of those just taken over */
    tnr_record_batch(runtime);
  prefetch_submission(tnr_inbox_ahead(&runtime->inbox, PREFETCH_AHEAD));
  if (item & 1)
    ((tnr_message *)(item - 1))->handle((tnr_message *)(item - 1));
  else
    tnr_op_resolve((tnr_op *)item);
  return true;
}

static bool take_submissions(tnr_runtime *runtime) {
  for (int taken = 0; taken < SUBMISSIONS_A_TURN; taken++) {
    if (!take_submission(runtime))
      return false;
    tnr_op_launch_ready(runtime); /* so that the next one finds what it needs on the queue */
  }
  return true;
}

/* any thread → dispatcher: what waited for what had passed already, and other letters. */
static void take_mail(tnr_runtime *runtime) {
  if (!tnr_mailbox_has_letters(&runtime->mail))
    return;
  tnr_record_batch(runtime);
  (void)tnr_mailbox_deliver(&runtime->mail, LETTERS_A_TURN, INT64_MAX);
}

bool tnr_dispatcher_has_events(const tnr_runtime *runtime) {
  return event_base_get_num_events(runtime->base, EVENT_BASE_COUNT_ACTIVE) > 0;
}

/* Completion events fire: callbacks run, dependents are resolved. The base fires those of one
 * priority at a time; the others have their turn, too, however many of a higher one there are. */
void tnr_dispatcher_fire(tnr_runtime *runtime) {
  runtime->latency.fresh = true;
  (void)event_base_loop(runtime->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
  for (int level = 1; level < TNR_LEVELS && tnr_dispatcher_has_events(runtime); level++)
    (void)event_base_loop(runtime->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

void tnr_dispatcher_tidy(tnr_runtime *runtime) {
  tnr_op_drop_inputs(runtime);
  tnr_mailbox_raise_all(runtime);
}

void tnr_dispatcher_publish(tnr_runtime *runtime) {
  for (int i = 0; i < runtime->machine.count; i++)
    tnr_lane_publish(&runtime->lanes[i]);
}

void tnr_dispatcher_settle(tnr_runtime *runtime) {
  for (int i = 0; i < runtime->machine.count; i++)
    tnr_lane_settle_epochs(&runtime->lanes[i]);
  tnr_lane_settle_epochs(&runtime->nowhere);
}

static uint32_t count_signals(tnr_runtime *runtime) {
  uint32_t count = 0;
  for (int i = 0; i < runtime->machine.count; i++)
    count += tnr_ring_look(&runtime->machine.devices[i]->worker.done);
  return count;
}

/* What is worth a turn. */
static uint32_t count_waiting(void *user) {
  tnr_runtime *runtime = user;
  return count_signals(runtime) + tnr_mailbox_has_letters(&runtime->mail) +
         (uint32_t)tnr_inbox_ripe(&runtime->inbox);
}

static bool any_part(const tnr_op_part *part) {
  (void)part;
  return true;
}

/* What is queued behind a device's worker when the runtime is aborted never gets there. */
static void take_back_launches(tnr_runtime *runtime) {
  runtime->aborting = true;
  for (int i = 0; i < runtime->machine.count; i++)
    for (tnr_op_part *part = tnr_lane_take_back(&runtime->lanes[i], any_part), *next; part;
         part = next) {
      next = part->next;
      tnr_op_never_ran(part);
    }
}

bool tnr_dispatcher_is_over(tnr_runtime *runtime) {
  /* acquire: pairs with the release in tnr_dispatcher_close; nothing is put in the inbox after it
   */
  if (!atomic_load_explicit(&runtime->close_requested, memory_order_acquire))
    return false;
  if (!runtime->aborting && atomic_load_explicit(&runtime->abort, memory_order_acquire))
    take_back_launches(runtime);
  return tnr_promises_end(runtime) && runtime->in_flight == 0 &&
         tnr_inbox_is_empty(&runtime->inbox) && tnr_mailbox_close(&runtime->mail);
}

/* Sleeps in the event base until there is something to do. */
void tnr_dispatcher_rest(tnr_runtime *runtime) {
  if (runtime->sweep || tnr_dispatcher_has_events(runtime) || count_signals(runtime) > 0)
    return;
  uint64_t since = tnr_record_now(runtime);
  if (tnr_lookout_find(&runtime->lookout, INT64_MAX, count_waiting, runtime)) {
    tnr_record_rest(runtime, TNR_TRACE_LOOKED, since);
    return;
  }
  tnr_parker_prepare(&runtime->sleep);
  if (!tnr_dispatcher_is_over(runtime) && tnr_inbox_sleep(&runtime->inbox)) {
    if (count_signals(runtime) == 0 && !tnr_dispatcher_has_events(runtime) &&
        !tnr_mailbox_has_letters(&runtime->mail))
      (void)event_base_loop(runtime->base, EVLOOP_ONCE);
    tnr_inbox_awake(&runtime->inbox);
  }
  tnr_parker_cancel(&runtime->sleep);
  tnr_record_rest(runtime, TNR_TRACE_SLEPT, since);
}

static void on_wake(evutil_socket_t fd, short what, void *user) {
  (void)what;
  (void)user;
  uint64_t count;
  while (read(fd, &count, sizeof count) == -1 && errno == EINTR) {
  }
}

bool tnr_dispatcher_turn(tnr_runtime *runtime) {
  tnr_record_turn(runtime);
  take_signals(runtime);
  take_mail(runtime);
  bool more = take_submissions(runtime);
  tnr_op_launch_ready(runtime);
  tnr_dispatcher_fire(runtime);
  if (runtime->sweep)
    tnr_cancel_sweep(runtime);
  tnr_op_launch_ready(runtime);
  tnr_dispatcher_tidy(runtime);
  tnr_dispatcher_publish(runtime);
  tnr_dispatcher_settle(runtime);
  return more;
}

void tnr_dispatcher_take_signals(tnr_runtime *runtime, int device, int limit) {
  take_signals_of(&runtime->lanes[device], limit);
}

void tnr_dispatcher_take_mail(tnr_runtime *runtime, int limit) {
  (void)tnr_mailbox_deliver(&runtime->mail, limit, INT64_MAX);
}

void tnr_dispatcher_take_submissions(tnr_runtime *runtime, int limit) {
  for (int taken = 0; taken < limit && take_submission(runtime); taken++) {
  }
}

static void *dispatcher_main(void *argument) {
  tnr_runtime *runtime = argument;
  tnr_this_thread = (tnr_thread_slot){runtime, 0};
  (void)prctl(PR_SET_NAME, "dispatcher");
  tnr_thread_here()->dispatcher_of = runtime;
  if (runtime->serves_viewers)
    tnr_live_enter();
  while (!tnr_dispatcher_is_over(runtime))
    if (!tnr_dispatcher_turn(runtime))
      tnr_dispatcher_rest(runtime);
  tnr_dispatcher_tidy(runtime); /* of what an abort has taken back */
  /* release: pairs with the acquire in who waits for an answer; all that was taken is done */
  atomic_store_explicit(&runtime->dispatcher_ended, true, memory_order_release);
  return NULL;
}

/* ---- life ---- */

/* With the coarse clock: EVENT_BASE_FLAG_PRECISE_TIMER sets a timerfd in every turn, which doubles
 * what a turn costs, and deadlines may be some ms late. */
static struct event_base *base_new(void) {
  struct event_config *config = event_config_new();
  if (!config)
    return NULL;
  (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  struct event_base *base = event_base_new_with_config(config);
  event_config_free(config);
  return base;
}

static tnr_status make(tnr_runtime *runtime, tnr_fault *fault) {
  runtime->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (runtime->wake_fd == -1)
    return tnr_fail(fault, TNR_ESYSTEM, "no eventfd for the dispatcher: %s", strerror(errno));
  runtime->base = base_new();
  if (!runtime->base)
    return tnr_fail(fault, TNR_ESYSTEM, "no event base for the dispatcher");
  if (event_base_priority_init(runtime->base, TNR_LEVELS) != 0)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for the event base");
  tnr_deadlines_init(runtime);
  runtime->wake_event =
      event_new(runtime->base, runtime->wake_fd, EV_READ | EV_PERSIST, on_wake, runtime);
  if (!runtime->wake_event || event_add(runtime->wake_event, NULL) != 0)
    return tnr_fail(fault, TNR_ESYSTEM, "the dispatcher's eventfd cannot be watched");
  return TNR_OK;
}

tnr_status tnr_dispatcher_start(tnr_runtime *runtime, tnr_fault *fault) {
  tnr_status status = make(runtime, fault);
  if (status == TNR_OK && runtime->serves_viewers)
    status = tnr_live_start(runtime, fault);
  if (status == TNR_OK && runtime->mode == TNR_THREADS &&
      pthread_create(&runtime->dispatcher, NULL, dispatcher_main, runtime) != 0)
    status = tnr_fail(fault, TNR_ESYSTEM, "no thread for the dispatcher");
  if (status != TNR_OK) {
    tnr_dispatcher_finish(runtime);
    tnr_dispatcher_close_fd(runtime);
  }
  return status;
}

void tnr_dispatcher_close(tnr_runtime *runtime) {
  tnr_inbox_close(&runtime->inbox);
  /* release: pairs with the acquire in tnr_dispatcher_is_over */
  atomic_store_explicit(&runtime->close_requested, true, memory_order_release);
  tnr_dispatcher_wake(runtime);
}

void tnr_dispatcher_join(tnr_runtime *runtime) {
  pthread_join(runtime->dispatcher, NULL);
}

void tnr_dispatcher_finish(tnr_runtime *runtime) {
  tnr_live_finish(runtime);
  if (runtime->wake_event)
    event_free(runtime->wake_event);
  if (runtime->base)
    event_base_free(runtime->base);
  tnr_inbox_finish(&runtime->inbox);
}

void tnr_dispatcher_close_fd(tnr_runtime *runtime) {
  if (runtime->wake_fd != -1)
    close(runtime->wake_fd);
}
