#include "continuation.h"

#include "dispatcher.h"
#include "error.h"
#include "record.h"
#include "source.h"

/* ---- a future's chain: with its lock held ---- */

static void chain(tnr_letter **first, tnr_letter *letter) {
  letter->next = *first;
  letter->link = first;
  letter->chained = true;
  if (letter->next)
    letter->next->link = &letter->next;
  *first = letter;
}

static void unchain(tnr_letter *letter) {
  *letter->link = letter->next;
  if (letter->next)
    letter->next->link = letter->link;
  letter->chained = false;
}

static void take_those_for(tnr_future *future, tnr_moment moment, tnr_letter **to) {
  for (tnr_letter *letter = future->continuations, *next; letter; letter = next) {
    next = letter->next;
    if (letter->moment == moment) {
      unchain(letter);
      chain(to, letter);
    }
  }
}

/* What waits for this moment or an earlier one, as a chain of its own at `*out`: earlier moments
 * first, and of each the oldest. */
static void take_passed(tnr_future *future, tnr_moment moment, tnr_letter **out) {
  *out = NULL;
  if (moment == TNR_COMPLETE)
    take_those_for(future, TNR_COMPLETE, out);
  take_those_for(future, TNR_CREATED, out);
}

static bool post(tnr_mailbox *mailbox, tnr_letter *letter) {
  unchain(letter);
  return tnr_mailbox_post(mailbox, letter);
}

/* ---- telling: the dispatcher ---- */

/* What stays in the chain is to be called here. With something in the dispatcher's own mailbox all
 * goes there: that may have been registered before. */
static void post_all(tnr_letter *first, tnr_mailbox *dispatchers) {
  bool in_turn = tnr_mailbox_has_letters(dispatchers);
  for (tnr_letter *letter = first, *next; letter; letter = next) {
    next = letter->next;
    tnr_mailbox *mailbox = tnr_continuation_of(letter)->mailbox;
    if (mailbox || in_turn)
      (void)post(mailbox ? mailbox : dispatchers, letter);
  }
}

/* The rest of the chain may be detached while one of it is called. */
static void call_all(tnr_future *future, tnr_letter **first) {
  while (*first) {
    tnr_letter *letter = *first;
    unchain(letter);
    if (!tnr_letter_claim(letter))
      continue;
    tnr_spin_unlock(&future->lock);
    letter->deliver(letter);
    tnr_spin_lock(&future->lock);
  }
}

void tnr_continuations_tell_all(tnr_future *future, tnr_moment moment) {
  tnr_letter *first;
  tnr_spin_lock(&future->lock);
  take_passed(future, moment, &first);
  post_all(first, &future->runtime->mail);
  call_all(future, &first);
  tnr_spin_unlock(&future->lock);
}

/* ---- attaching: any thread ---- */

/* Dispatcher, or who dispatches the mailbox: it is the caller's again once fn is entered. */
static void deliver_attached(tnr_letter *letter) {
  const tnr_continuation *continuation = tnr_continuation_of(letter);
  tnr_callback *fn = continuation->fn;
  void *user = continuation->user;
  tnr_future *future = continuation->future;
  uint64_t since = tnr_record_now(future->runtime);
  fn(tnr_future_value(future), user);
  tnr_record_callback(future, since);
  tnr_object_release(&future->object);
}

static bool has_passed(const tnr_future *source, tnr_moment moment) {
  /* sequentially consistent: see tnr_continuations_tell */
  return atomic_load_explicit(&source->state, memory_order_seq_cst) >=
         (moment == TNR_CREATED ? TNR_FUTURE_CREATED : TNR_FUTURE_COMPLETE);
}

static tnr_mailbox *mailbox_of(tnr_letter *letter) {
  const tnr_continuation *continuation = tnr_continuation_of(letter);
  return continuation->mailbox ? continuation->mailbox : &continuation->future->runtime->mail;
}

static void wait_in(tnr_future *source, tnr_letter *letter, tnr_moment moment) {
  tnr_spin_lock(&source->lock);
  chain(&source->continuations, letter);
  tnr_spin_unlock(&source->lock);
  atomic_store_explicit(&source->has_continuations, true, memory_order_seq_cst);
  if (moment == TNR_CREATED)
    atomic_store_explicit(&source->tell_created, true, memory_order_seq_cst);
}

/* Posts all that waits for a moment that has passed, in order, and so `mine` behind what was there
 * before. False when the dispatcher takes nothing any more and mine was for it. */
static bool post_passed(tnr_future *source, tnr_moment moment, const tnr_letter *mine) {
  bool taken = true;
  tnr_letter *first;
  tnr_spin_lock(&source->lock);
  take_passed(source, moment, &first);
  while (first) {
    tnr_letter *letter = first;
    if (post(mailbox_of(letter), letter))
      continue;
    if (letter == mine)
      taken = false;
    else /* another thread is about to find it here, as this one found mine */
      chain(&source->continuations, letter);
  }
  tnr_spin_unlock(&source->lock);
  return taken;
}

/* False as above. */
static bool put(tnr_future *source, tnr_letter *letter, tnr_moment moment) {
  /* relaxed: what this thread attached before, it sees; order with others' there is none */
  if (!atomic_load_explicit(&source->has_continuations, memory_order_relaxed) &&
      has_passed(source, moment))
    return tnr_mailbox_post(mailbox_of(letter), letter);
  wait_in(source, letter, moment); /* from here on it may be gone */
  return !has_passed(source, moment) || post_passed(source, moment, letter);
}

static tnr_status refuse(tnr_status status) {
  return tnr_error_raise(status, "%s", tnr_dispatcher_refusal(status));
}

static tnr_status may_put(const tnr_continuation *continuation, const tnr_future *future,
                          tnr_mailbox *mailbox) {
  /* relaxed: whoever attaches it owns it */
  if (__atomic_load_n(&continuation->letter.armed, __ATOMIC_RELAXED))
    return tnr_error_raise(TNR_EINVAL, "the continuation is attached already");
  if (mailbox && mailbox->runtime != future->runtime)
    return tnr_error_raise(TNR_EINVAL, "the mailbox belongs to another runtime than the future");
  if (!tnr_dispatcher_takes(future->runtime))
    return refuse(TNR_ECLOSED);
  if (mailbox && !tnr_mailbox_announce(mailbox))
    return tnr_error_raise(TNR_ECLOSED, "the mailbox is being destroyed");
  return TNR_OK;
}

tnr_status tnr_continuation_put(tnr_continuation *continuation, tnr_future *future,
                                tnr_moment moment, tnr_mailbox *mailbox,
                                void (*deliver)(tnr_letter *letter)) {
  tnr_future *source = tnr_future_source(future);
  tnr_letter *letter = &continuation->letter;
  tnr_status status = may_put(continuation, future, mailbox);
  if (status != TNR_OK)
    return status;
  tnr_object_retain(&future->object);
  continuation->future = future;
  continuation->mailbox = mailbox;
  letter->deliver = deliver;
  letter->queued = false;
  letter->moment = (unsigned char)moment;
  tnr_letter_arm(letter);
  if (put(source, letter, moment))
    return TNR_OK;
  (void)tnr_letter_claim(letter);
  tnr_object_release(&future->object);
  return refuse(TNR_ECLOSED);
}

void tnr_continuation_init(tnr_continuation *continuation, tnr_callback *fn, void *user) {
  *continuation = (tnr_continuation){.fn = fn, .user = user};
}

tnr_status tnr_attach_value(tnr_value x, tnr_moment moment, tnr_continuation *continuation,
                            const tnr_on_options *options) {
  tnr_mailbox *mailbox = options ? options->mailbox : NULL;
  if (!continuation || !continuation->fn)
    return tnr_error_raise(TNR_EINVAL, "the %s is NULL",
                           continuation ? "callback" : "continuation");
  tnr_future *future = tnr_future_of_value(x);
  if (!future)
    return tnr_error_code(tnr_error());
  tnr_status status = tnr_continuation_put(continuation, future, moment, mailbox, deliver_attached);
  tnr_object_release(&future->object);
  return status;
}

/* ---- detaching: any thread ---- */

bool tnr_detach(tnr_continuation *continuation) {
  if (!continuation || !tnr_letter_claim(&continuation->letter))
    return false;
  /* whoever claims it releases these, so they are still there */
  tnr_future *future = continuation->future, *source = tnr_future_source(future);
  tnr_mailbox *mailbox = continuation->mailbox;
  tnr_spin_lock(&source->lock);
  if (continuation->letter.chained)
    unchain(&continuation->letter);
  tnr_spin_unlock(&source->lock);
  tnr_mailbox_withdraw(mailbox ? mailbox : &future->runtime->mail, &continuation->letter);
  tnr_object_release(&future->object);
  return true;
}
