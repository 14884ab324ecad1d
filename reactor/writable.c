#include "writable.h"

#include "dispatcher.h"
#include "error.h"

/* A registration. */
typedef struct tnr_writable {
  struct tnr_writable *next; /* guarded by the bounds' lock */
  tnr_letter letter;
  tnr_runtime *runtime;
  tnr_mailbox *mailbox; /* NULL: the dispatcher */
  tnr_writable_callback *fn;
  void *user;
  tnr_want want;
} tnr_writable;

/* ---- who is told ---- */

/* With the lock held: takes those out for whom there is room; all of them at the end. */
static tnr_writable *take_writable(tnr_bounds *bounds) {
  tnr_writable *taken = NULL, **last = &taken, **link = &bounds->writable, *made;
  while ((made = *link)) {
    if (!bounds->closed && !tnr_bounds_fits(bounds, &made->want)) {
      link = &made->next;
      continue;
    }
    *link = made->next;
    made->next = NULL;
    *last = made;
    last = &made->next;
  }
  return taken;
}

/* With the lock held, which is let go of meanwhile: others may have to be told under it. The end
 * waits for who is in here, so that the dispatcher still takes letters. */
static void post_all(tnr_bounds *bounds, tnr_writable *first) {
  bounds->posting++;
  pthread_mutex_unlock(&bounds->lock);
  for (tnr_writable *made = first, *next; made; made = next) {
    next = made->next; /* it may be gone once it is posted */
    (void)tnr_mailbox_post(made->mailbox ? made->mailbox : &made->runtime->mail, &made->letter);
  }
  pthread_mutex_lock(&bounds->lock);
  if (--bounds->posting == 0 && bounds->closed)
    pthread_cond_broadcast(&bounds->room);
}

void tnr_bounds_tell_of_room(tnr_bounds *bounds) {
  tnr_writable *told = bounds->writable ? take_writable(bounds) : NULL;
  if (bounds->sleepers > 0)
    pthread_cond_broadcast(&bounds->room);
  if (told)
    post_all(bounds, told);
}

/* ---- tnr_on_writable ---- */

static void deliver_writable(tnr_letter *letter) {
  tnr_writable *made = (tnr_writable *)((char *)letter - offsetof(tnr_writable, letter));
  tnr_writable_callback *fn = made->fn;
  void *user = made->user;
  tnr_pool_free(&made->runtime->machine.objects, made, sizeof *made);
  fn(user);
}

static tnr_status refuse_closed(void) {
  return tnr_error_raise(TNR_ECLOSED, "%s", tnr_dispatcher_refusal(TNR_ECLOSED));
}

/* What was refused here last, or any op. */
static tnr_want wanted(const tnr_runtime *runtime) {
  const tnr_thread *thread = tnr_thread_here();
  return thread->refused_by == runtime ? thread->refused : (tnr_want){.ops = 1};
}

static tnr_writable *writable_new(tnr_runtime *runtime, tnr_writable_callback *fn, void *user,
                                  tnr_mailbox *mailbox) {
  tnr_writable *made = tnr_pool_alloc(&runtime->machine.objects, sizeof *made);
  if (!made)
    return NULL;
  *made = (tnr_writable){.runtime = runtime, .mailbox = mailbox, .fn = fn, .user = user};
  made->letter.deliver = deliver_writable;
  made->want = wanted(runtime);
  tnr_letter_arm(&made->letter);
  return made;
}

/* False: nobody is there any more to call it. */
static bool put(tnr_writable *made) {
  tnr_bounds *bounds = &made->runtime->bounds;
  pthread_mutex_lock(&bounds->lock);
  bool open = made->mailbox || !bounds->closed;
  if (open) {
    tnr_writable **last = &bounds->writable;
    while (*last)
      last = &(*last)->next;
    *last = made;
    tnr_bounds_tell_of_room(bounds);
  }
  pthread_mutex_unlock(&bounds->lock);
  return open;
}

tnr_status tnr_on_writable_with(tnr_runtime *runtime, tnr_writable_callback *fn, void *user,
                                const tnr_on_options *options) {
  tnr_mailbox *mailbox = options ? options->mailbox : NULL;
  if (!runtime && !(runtime = tnr_default_runtime()))
    return tnr_error_code(tnr_error());
  if (!fn)
    return tnr_error_raise(TNR_EINVAL, "on_writable: the callback is NULL");
  if (mailbox && mailbox->runtime != runtime)
    return tnr_error_raise(TNR_EINVAL, "on_writable: the mailbox belongs to another runtime");
  if (!tnr_dispatcher_takes(runtime))
    return refuse_closed();
  tnr_writable *made = writable_new(runtime, fn, user, mailbox);
  if (!made)
    return tnr_error_raise(TNR_ENOMEM, "out of memory for a callback");
  if ((!mailbox || tnr_mailbox_announce(mailbox)) && put(made))
    return TNR_OK;
  tnr_pool_free(&runtime->machine.objects, made, sizeof *made);
  return mailbox ? tnr_error_raise(TNR_ECLOSED, "the mailbox is being destroyed") : refuse_closed();
}
