/* A mailbox in a GLib main loop. */
#include <glib-unix.h>

#include "load.h"

static gboolean on_mail(gint fd, GIOCondition condition, gpointer user) {
  (void)fd;
  (void)condition;
  tnr_mailbox_dispatch(user, .max_ns = LOAD_SLICE_NS);
  return G_SOURCE_CONTINUE;
}

/* To be removed, with g_source_remove, before the mailbox is destroyed. */
static guint watch(tnr_mailbox *mailbox) {
  return g_unix_fd_add(tnr_mailbox_fd(mailbox), G_IO_IN, on_mail, mailbox);
}

static gboolean on_tick(gpointer user) {
  load_tick(user);
  return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv) {
  load *l = load_start(argc, argv);
  guint mail = watch(load_mailbox(l));
  guint tick = g_timeout_add(LOAD_TICK_MS, on_tick, l);
  while (!load_is_over(l))
    g_main_context_iteration(NULL, TRUE);
  g_source_remove(tick);
  g_source_remove(mail);
  return load_finish(l, "glib");
}
