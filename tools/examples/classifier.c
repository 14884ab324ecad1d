/* An image classifier behind HTTP, on one thread: libevent's evhttp takes the requests on the
 * program's own base, tenor runs the model on its devices, and the results come back to that base
 * through a mailbox. How much may be in flight is the runtime's limit: the image that finds no room
 * is answered with 503. With --blocking the same server waits for each result instead, to be
 * compared with. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenor.h>

#include "model.h" /* the command's reader of ONNX files */

enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, MS = 1000000, SLICE_NS = 500000 };

static const char *const names[CLASSES] = {"T-shirt", "Trouser", "Pullover", "Dress", "Coat",
                                           "Sandal",  "Shirt",   "Sneaker",  "Bag",   "Boot"};

/* All of it belongs to the one thread. */
typedef struct server {
  const char *model_path;
  int port, deadline_ms, limit, slow_ms;
  bool blocking;

  struct onnx_graph graph;
  struct recipe recipe;
  struct model model;
  tnr_runtime *runtime;
  tnr_device *device, *host;
  tnr_mailbox *mailbox;
  struct event_base *base;
  struct evhttp *http;
  uint64_t requests;
  int in_flight;
} server;

/* An image on its way through the model. */
typedef struct request {
  server *server;
  struct evhttp_request *http; /* NULL: the client has gone */
  tnr_group *group;
  tnr_value scores;
  tnr_continuation answer;
  struct event *hang_up;
} request;

/* ---- HTTP ---- */

static void reply(struct evhttp_request *http, int code, const char *reason, const char *format,
                  ...) TNR_PRINTF(4, 5);
static void reply(struct evhttp_request *http, int code, const char *reason, const char *format,
                  ...) {
  struct evbuffer *body = evbuffer_new();
  struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
  va_list arguments;
  if (!body) {
    evhttp_send_error(http, HTTP_INTERNAL, NULL);
    return;
  }
  va_start(arguments, format);
  evbuffer_add_vprintf(body, format, arguments);
  va_end(arguments);
  evhttp_add_header(headers, "Content-Type", "application/json");
  if (code == HTTP_SERVUNAVAIL)
    evhttp_add_header(headers, "Retry-After", "1");
  evhttp_send_reply(http, code, reason, body);
  evbuffer_free(body);
}

/* The error's words are tenor's: they hold no quotation mark or backslash but in file names. */
static void reply_error(struct evhttp_request *http, const tnr_error *error) {
  switch (tnr_error_code(error)) {
  case TNR_EAGAIN:
    reply(http, HTTP_SERVUNAVAIL, "Service Unavailable", "{\"error\": \"%s\"}\n",
          tnr_error_reason(error));
    return;
  case TNR_ETIMEDOUT:
    reply(http, 504, "Gateway Timeout", "{\"error\": \"%s\"}\n", tnr_error_reason(error));
    return;
  default:
    reply(http, HTTP_INTERNAL, "Internal Server Error", "{\"error\": \"%s\"}\n",
          tnr_status_name(tnr_error_code(error)));
  }
}

static void reply_scores(struct evhttp_request *http, const float *scores) {
  int best = 0;
  for (int i = 1; i < CLASSES; i++)
    if (scores[i] > scores[best])
      best = i;
  reply(http, HTTP_OK, "OK", "{\"class\": %d, \"label\": \"%s\", \"score\": %.4f}\n", best,
        names[best], (double)scores[best]);
}

/* Raw grey bytes, or a binary PGM of them without comments. */
static bool read_image(struct evhttp_request *http, float *pixels) {
  struct evbuffer *body = evhttp_request_get_input_buffer(http);
  size_t size = evbuffer_get_length(body);
  int width = SIDE, height = SIDE, most = 255, header = 0;
  const char *bytes = (const char *)evbuffer_pullup(body, -1);
  char start[32] = "";
  if (!bytes || size < PIXELS)
    return false;
  memcpy(start, bytes, sizeof start - 1);
  if (size > PIXELS && sscanf(start, "P5 %d %d %d%n", &width, &height, &most, &header) == 3)
    header++; /* one white space ends it */
  if (width != SIDE || height != SIDE || most != 255 || size != (size_t)header + PIXELS)
    return false;
  for (int i = 0; i < PIXELS; i++)
    pixels[i] = (float)(unsigned char)bytes[header + i] / 255;
  return true;
}

/* ---- the model ---- */

/* Of an image on the host; probabilities on the host, too. */
static tnr_value run_model(const tnr_value *in, int in_count, const void *attrs) {
  const server *s = *(server *const *)attrs;
  tnr_fault fault;
  tnr_value logits, image = tnr_to_device(in[0], s->device);
  (void)in_count;
  tnr_status status = model_apply(&s->model, &image, &logits, &fault);
  if (status != TNR_OK) /* tnr_error() is of the call that failed */
    return (tnr_value){0};
  return tnr_to_device(tnr_softmax(logits, .axis = 1), s->host);
}

/* A composite finds room before its body runs, and then all of it goes through: no image is left
 * half submitted, with ops that take room until their turn comes though they were cancelled. */
static const tnr_composite_def model_def = {
    .name = "model", .attrs_size = sizeof(server *), .body = run_model};

/* The same for a tensor and for a future; NONE with tnr_error() on failure. In an open scope. */
static tnr_value classify(const server *s, tnr_value image) {
  return tnr_call_composite(&model_def, TNR_HERE, &image, 1, &s);
}

static tnr_tensor *image_tensor(const server *s, const float *pixels) {
  return tnr_tensor_create(s->host, TNR_F32, TNR_SHAPE(1, 1, SIDE, SIDE), pixels);
}

/* Nobody else is served meanwhile. */
static void answer_blocking(server *s, struct evhttp_request *http, const float *pixels) {
  float scores[CLASSES];
  if (tnr_scope_open() != TNR_OK) {
    reply_error(http, tnr_error());
    return;
  }
  tnr_error_clear();
  tnr_value result = classify(s, TNR_VALUE(image_tensor(s, pixels)));
  if (result.handle && tnr_tensor_read(tnr_value_tensor(result), scores, sizeof scores) == TNR_OK)
    reply_scores(http, scores);
  else
    reply_error(http, tnr_error());
  tnr_scope_close();
}

/* ---- a request's life ---- */

/* The client has hung up: its ops are no longer needed, and the answer that they are cancelled goes
 * nowhere. */
static void on_hang_up(evutil_socket_t fd, short what, void *user) {
  const request *r = user;
  (void)fd, (void)what;
  tnr_group_cancel(r->group);
}

static void stop_watching(request *r) {
  if (r->hang_up)
    event_free(r->hang_up);
  r->hang_up = NULL;
  if (r->http)
    evhttp_connection_set_closecb(evhttp_request_get_connection(r->http), NULL, NULL);
}

/* evhttp drops the connection, and `http` with it. */
static void on_close(struct evhttp_connection *connection, void *user) {
  request *r = user;
  (void)connection;
  r->http = NULL;
  stop_watching(r);
  tnr_group_cancel(r->group);
}

/* evhttp itself does not look at the socket before it has sent an answer. */
static bool watch_client(request *r) {
  struct evhttp_connection *connection = evhttp_request_get_connection(r->http);
  int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
  r->hang_up = event_new(r->server->base, fd, EV_CLOSED, on_hang_up, r);
  evhttp_connection_set_closecb(connection, on_close, r);
  return r->hang_up && event_add(r->hang_up, NULL) == 0;
}

static void finish(request *r) {
  r->server->in_flight--;
  tnr_release(r->group);
  tnr_release(r->scores.handle);
  free(r);
}

/* Through the mailbox: on the loop's thread, on success and on failure. */
static void answer(tnr_value future, void *user) {
  request *r = user;
  float scores[CLASSES];
  stop_watching(r);
  if (r->http) {
    tnr_tensor *result = tnr_value_tensor(tnr_get(future)); /* complete: this does not wait */
    if (result && tnr_tensor_read(result, scores, sizeof scores) == TNR_OK)
      reply_scores(r->http, scores);
    else
      reply_error(r->http, tnr_error());
    tnr_release(result);
  }
  finish(r);
}

/* In an open scope: NONE with tnr_error() when not all of it was submitted. */
static tnr_value submit(request *r, const float *pixels) {
  server *s = r->server;
  tnr_error_clear();
  r->group = tnr_keep(
      tnr_group_create(s->runtime, .name = "request", .timeout_ns = (int64_t)s->deadline_ms * MS));
  if (!r->group || tnr_terms_open(.group = r->group) != TNR_OK)
    return (tnr_value){0};
  tnr_value scores = classify(s, TNR_VALUE(tnr_to_async(image_tensor(s, pixels))));
  tnr_terms_close();
  return tnr_keep(scores);
}

static void answer_later(server *s, struct evhttp_request *http, const float *pixels) {
  request *r = calloc(1, sizeof *r);
  if (!r || tnr_scope_open() != TNR_OK) {
    free(r);
    evhttp_send_error(http, HTTP_INTERNAL, NULL);
    return;
  }
  r->server = s;
  r->http = http;
  s->in_flight++;
  r->scores = submit(r, pixels);
  tnr_continuation_init(&r->answer, answer, r);
  if (r->scores.handle &&
      tnr_attach(r->scores, TNR_COMPLETE, &r->answer, .mailbox = s->mailbox) == TNR_OK) {
    if (!watch_client(r))
      fprintf(stderr, "classifier: a client that hangs up will not be noticed\n");
  } else {
    reply_error(http, tnr_error());
    if (r->group)
      tnr_group_cancel(r->group); /* what had been submitted when memory ran out */
    finish(r);
  }
  tnr_scope_close();
}

static void on_image(struct evhttp_request *http, void *user) {
  server *s = user;
  float pixels[PIXELS];
  s->requests++;
  if (evhttp_request_get_command(http) != EVHTTP_REQ_POST)
    reply(http, HTTP_BADMETHOD, "Method Not Allowed", "{\"error\": \"POST an image\"}\n");
  else if (!read_image(http, pixels))
    reply(http, HTTP_BADREQUEST, "Bad Request",
          "{\"error\": \"28 x 28 grey bytes are expected, raw or as PGM\"}\n");
  else if (s->blocking)
    answer_blocking(s, http, pixels);
  else
    answer_later(s, http, pixels);
}

static void on_status(struct evhttp_request *http, void *user) {
  const server *s = user;
  reply(http, HTTP_OK, "OK",
        "{\"requests\": %" PRIu64 ", \"in_flight\": %d, \"ops\": %" PRId64 "}\n", s->requests,
        s->in_flight, tnr_runtime_in_flight(s->runtime).ops);
}

/* ---- the loop ---- */

static void on_mail(evutil_socket_t fd, short what, void *user) {
  (void)fd, (void)what;
  tnr_mailbox_dispatch(user, .max_ns = SLICE_NS);
}

static void on_signal(evutil_socket_t number, short what, void *user) {
  (void)number, (void)what;
  event_base_loopbreak(user);
}

static void print_line(const char *line, void *user) {
  (void)user;
  fprintf(stderr, "%s\n", line);
}

/* SIGUSR1: what is in flight, and why. */
static void on_question(evutil_socket_t number, short what, void *user) {
  (void)number, (void)what;
  tnr_runtime_dump(user, print_line, NULL);
}

static bool listen_here(server *s) {
  s->http = evhttp_new(s->base);
  struct evhttp_bound_socket *bound =
      s->http ? evhttp_bind_socket_with_handle(s->http, "127.0.0.1", (uint16_t)s->port) : NULL;
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  if (!bound ||
      getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &size) != 0)
    return false;
  evhttp_set_max_body_size(s->http, 65536);
  if (evhttp_set_cb(s->http, "/", on_status, s) != 0 ||
      evhttp_set_cb(s->http, "/classify", on_image, s) != 0)
    return false;
  printf("http://127.0.0.1:%d/classify takes images\n", ntohs(address.sin_port));
  fflush(stdout);
  return true;
}

/* Until SIGINT or SIGTERM. */
static int serve(server *s) {
  struct event *events[] = {
      event_new(s->base, tnr_mailbox_fd(s->mailbox), EV_READ | EV_PERSIST, on_mail, s->mailbox),
      evsignal_new(s->base, SIGINT, on_signal, s->base),
      evsignal_new(s->base, SIGTERM, on_signal, s->base),
      evsignal_new(s->base, SIGUSR1, on_question, s->runtime),
  };
  const int count = sizeof events / sizeof *events;
  bool fine = listen_here(s);
  for (int i = 0; i < count; i++)
    fine = fine && events[i] && event_add(events[i], NULL) == 0;
  if (fine)
    event_base_dispatch(s->base);
  else
    fprintf(stderr, "classifier: cannot listen on port %d\n", s->port);
  for (int i = 0; i < count; i++)
    if (events[i])
      event_free(events[i]);
  return fine ? 0 : 1;
}

/* ---- start and end ---- */

static tnr_status read_model(server *s, tnr_fault *fault) {
  tnr_status status = onnx_read(s->model_path, &s->graph, fault);
  if (status == TNR_OK)
    status = recipe_init(&s->graph, &s->recipe, fault);
  if (status == TNR_OK && (s->graph.input_count != 1 || s->graph.output_count != 1))
    status = tnr_fail(fault, TNR_EUNSUPPORTED, "the model does not make one output of one input");
  return status;
}

/* The constants go to the device at once: they need room, too. */
static tnr_limits limits(const server *s) {
  enum { MORE = 3 }; /* the image to the device, the softmax, the scores to the host */
  int64_t ops = s->limit * ((int64_t)s->recipe.step_count + MORE);
  int64_t slots = (int64_t)s->recipe.slot_count;
  return (tnr_limits){.max_ops = s->blocking ? 0 : ops > slots ? ops : slots};
}

static tnr_runtime *create_runtime(const server *s) {
  const tnr_sim_config slow = {.launch_ns = (int64_t)s->slow_ms * MS};
  const tnr_device_config device = {.driver = s->slow_ms ? tnr_sim_driver() : tnr_cpu_driver(),
                                    .count = 1,
                                    .config = s->slow_ms ? &slow : NULL};
  return tnr_runtime_create(&(tnr_runtime_options){
      .devices = &device, .device_configs = 1, .limits = limits(s), .full_is_error = true});
}

static tnr_status start(server *s, tnr_fault *fault) {
  tnr_status status = read_model(s, fault);
  if (status != TNR_OK)
    return status;
  s->runtime = create_runtime(s);
  s->mailbox = s->runtime ? tnr_mailbox_create(s->runtime) : NULL;
  s->base = event_base_new();
  if (!s->mailbox || !s->base)
    return tnr_fail(fault, TNR_ESYSTEM, "%s",
                    tnr_error() ? tnr_error_message(tnr_error()) : "libevent has no base");
  s->device = tnr_runtime_device_at(s->runtime, 0);
  s->host = tnr_runtime_device(s->runtime, "host");
  status = model_init(&s->recipe, s->device, &s->model, fault);
  if (status == TNR_OK && tnr_synchronize_device(s->device) != TNR_OK) /* all room is for images */
    return tnr_fail(fault, tnr_error_code(tnr_error()), "%s", tnr_error_message(tnr_error()));
  return status;
}

/* Those who still wait for an answer have lost their connection. */
static void stop(server *s) {
  if (s->http)
    evhttp_free(s->http);
  tnr_mailbox_destroy(s->mailbox);
  model_finish(&s->model);
  tnr_runtime_destroy(s->runtime, TNR_DRAIN);
  recipe_finish(&s->recipe);
  onnx_finish(&s->graph);
  if (s->base)
    event_base_free(s->base);
}

static const char help[] =
    "Usage: classifier MODEL.onnx [OPTION]…\n"
    "Serves a classifier of 28 x 28 grey images: POST /classify gives the label, GET / how many\n"
    "requests there were.\n"
    "\n"
    "  --port N         on 127.0.0.1; 0, the default: any that is free\n"
    "  --deadline MS    an image whose last op has not begun by then is answered with 504 (1000)\n"
    "  --in-flight N    while as many ops are in flight as N images have, more images are "
    "answered\n"
    "                   with 503 (64)\n"
    "  --blocking       wait for each result in the loop, without deadline and limit\n"
    "  --slow MS        a simulated device that takes so long for each op\n";

static bool parse(server *s, int argc, char **argv) {
  static const struct option options[] = {
      {"port", required_argument, NULL, 'p'},      {"deadline", required_argument, NULL, 'd'},
      {"in-flight", required_argument, NULL, 'n'}, {"blocking", no_argument, NULL, 'b'},
      {"slow", required_argument, NULL, 's'},      {0}};
  int option;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    int *number = option == 'p'   ? &s->port
                  : option == 'd' ? &s->deadline_ms
                  : option == 'n' ? &s->limit
                  : option == 's' ? &s->slow_ms
                                  : NULL;
    if (number)
      *number = atoi(optarg);
    else if (option == 'b')
      s->blocking = true;
    else
      return false;
  }
  s->model_path = argv[optind];
  return optind + 1 == argc && s->port >= 0 && s->port < 65536 && s->deadline_ms > 0 &&
         s->limit > 0;
}

int main(int argc, char **argv) {
  static server s = {.deadline_ms = 1000, .limit = 64};
  tnr_fault fault;
  if (!parse(&s, argc, argv)) {
    fputs(help, stderr);
    return 2;
  }
  int status = 1;
  if (start(&s, &fault) == TNR_OK)
    status = serve(&s);
  else
    fprintf(stderr, "classifier: %s\n", fault.message);
  stop(&s);
  return status;
}
