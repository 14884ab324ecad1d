#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "gaps.h"
#include "lanes.h"
#include "spill.h"
#include "walk.h"

/* In px. */
enum {
  WIDTH = 1200,
  LEFT = 130,
  RIGHT = 20,
  TOP = 50,
  LANE = 22,
  LANE_GAP = 6,
  BAR = 18,
  FONT = 11
};
enum { COLORS = 10 };

static const char *const colors[COLORS] = {"#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677",
                                           "#aa3377", "#997700", "#004488", "#bb5566", "#44aa99"};

struct svg {
  const struct trace_recording *recording;
  FILE *to;
  double scale; /* px a ns */
  int y;        /* of the lane that is drawn */

  /* What is narrower than a pixel grows together until it is one. */
  double from, until;
  uint32_t name;
};

/* ---- texts ---- */

static void put_text(FILE *to, const char *text) {
  for (; *text; text++) {
    const char *instead = *text == '<'   ? "&lt;"
                          : *text == '>' ? "&gt;"
                          : *text == '&' ? "&amp;"
                          : *text == '"' ? "&quot;"
                                         : NULL;
    if (instead)
      fputs(instead, to);
    else
      fputc(*text == '\n' ? ' ' : *text, to);
  }
}

/* 1, 2 or 5 times a power of ten, so that there are about ten of them. */
static double step_of(double ns) {
  double power = pow(10, floor(log10(ns / 10)));
  double rest = ns / 10 / power;
  return power * (rest < 2 ? 2 : rest < 5 ? 5 : 10);
}

static void put_time(FILE *to, double ns, double step) {
  static const char *const units[] = {"ns", "µs", "ms", "s"};
  int unit = 0;
  for (; unit < 3 && step >= 1000; unit++, step /= 1000)
    ns /= 1000;
  fprintf(to, "%.0f %s", ns, units[unit]);
}

/* ---- bars ---- */

static double x_of(const struct svg *svg, int64_t time) {
  return LEFT + (double)(time > 0 ? time : 0) * svg->scale;
}

static void put_bar(struct svg *svg) {
  double width = svg->until - svg->from;
  const char *color = svg->name == TRACE_NONE ? "#bbbbbb" : colors[svg->name % COLORS];
  if (width <= 0)
    return;
  fprintf(svg->to, "<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"%s\"/>\n",
          svg->from, svg->y, width < 0.25 ? 0.25 : width, BAR, color);
  svg->until = svg->from = 0;
}

/* Joins what touches, or is too small to be told apart, and has one color. */
static void add_bar(struct svg *svg, int64_t begin, int64_t end, uint32_t name) {
  enum { APART = 1 }; /* px: within so much a gap, or another color, is not seen */
  double from = x_of(svg, begin), until = x_of(svg, end);
  bool open = svg->until > svg->from;
  bool near = open && from - svg->until < 0.25 * APART;
  bool small = until - from < 0.5 * APART;
  if (near && (svg->name == name || small)) {
    svg->until = until > svg->until ? until : svg->until;
    return;
  }
  put_bar(svg);
  svg->from = from;
  svg->until = until > from ? until : from + 0.25;
  svg->name = name;
}

static void put_name(struct svg *svg, const char *name, double from, double width) {
  enum { LETTER = 7 };
  int room = (int)(width / LETTER) - 1;
  if (room < 4 || (int)strlen(name) > room)
    return;
  fprintf(svg->to, "<text x=\"%.2f\" y=\"%d\" fill=\"#ffffff\">", from + 3, svg->y + BAR - 5);
  put_text(svg->to, name);
  fputs("</text>\n", svg->to);
}

/* ---- lanes ---- */

static void put_label(const struct svg *svg, const char *label) {
  fprintf(svg->to, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", LEFT - 8, svg->y + BAR - 5);
  put_text(svg->to, label);
  fputs("</text>\n", svg->to);
}

static tnr_status put_device(struct svg *svg, uint32_t device, tnr_fault *fault) {
  struct trace_walk walk;
  const struct trace_run *run;
  tnr_status status = trace_walk_init(svg->recording, device, &walk, fault);
  if (status != TNR_OK)
    return status;
  put_label(svg, trace_device_name(svg->recording, device));
  while ((run = trace_walk_next(&walk)))
    add_bar(svg, run->began, trace_run_end(svg->recording, run),
            trace_run_name(svg->recording, run));
  put_bar(svg);
  trace_walk_finish(&walk);
  return TNR_OK;
}

static tnr_status put_device_names(struct svg *svg, uint32_t device, tnr_fault *fault) {
  struct trace_walk walk;
  const struct trace_run *run;
  tnr_status status = trace_walk_init(svg->recording, device, &walk, fault);
  if (status != TNR_OK)
    return status;
  while ((run = trace_walk_next(&walk))) {
    double from = x_of(svg, run->began);
    char title[160];
    trace_run_title(svg->recording, run, title, sizeof title);
    put_name(svg, title, from, x_of(svg, trace_run_end(svg->recording, run)) - from);
  }
  trace_walk_finish(&walk);
  return TNR_OK;
}

/* A thread's waits are grey; what it did itself has the color of the op. */
static void put_thread(struct svg *svg, uint32_t lane) {
  const struct trace_lane *of = &svg->recording->lanes.at[lane];
  char title[80];
  trace_lane_title(svg->recording, lane, title, sizeof title);
  put_label(svg, title);
  for (uint32_t i = 0; i < of->span_count; i++) {
    const struct trace_span *span = &svg->recording->spans.at[of->first_span + i];
    bool rests = span->type == TNR_TRACE_WAIT || span->type == TNR_TRACE_HELD ||
                 span->type == TNR_TRACE_REST;
    uint32_t name = rests ? TRACE_NONE : trace_op_name(svg->recording, span->op);
    add_bar(svg, span->begin, span->end, name);
  }
  put_bar(svg);
}

static void put_axis(const struct svg *svg, int height) {
  double length = (double)svg->recording->last, step = step_of(length > 10 ? length : 10);
  for (double at = 0; at <= length; at += step) {
    double x = LEFT + at * svg->scale;
    fprintf(svg->to,
            "<line x1=\"%.2f\" y1=\"%d\" x2=\"%.2f\" y2=\"%d\" stroke=\"#dddddd\"/>\n"
            "<text x=\"%.2f\" y=\"%d\" text-anchor=\"middle\">",
            x, TOP - 6, x, height - 6, x, TOP - 10);
    put_time(svg->to, at, step);
    fputs("</text>\n", svg->to);
  }
}

static void put_head(const struct svg *svg, int height) {
  fprintf(svg->to,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
          "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"%d\">\n"
          "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n<title>",
          WIDTH, height, WIDTH, height, FONT);
  put_text(svg->to, svg->recording->file.program);
  fputs("</title>\n<text x=\"8\" y=\"16\" font-weight=\"bold\">", svg->to);
  put_text(svg->to, svg->recording->file.program);
  fputs("</text>\n", svg->to);
  put_axis(svg, height);
}

static bool is_drawn(const struct trace_lane *lane) {
  return lane->kind != TNR_TRACE_WORKER && (lane->span_count > 0 || lane->submits > 0);
}

static tnr_status put_lanes(struct svg *svg, const uint32_t *order, tnr_fault *fault) {
  const struct trace_recording *recording = svg->recording;
  tnr_status status = TNR_OK;
  for (uint32_t i = 0; i < recording->lanes.count; i++) {
    if (!is_drawn(&recording->lanes.at[order[i]]))
      continue;
    put_thread(svg, order[i]);
    svg->y += LANE + LANE_GAP;
  }
  for (uint32_t i = 0; status == TNR_OK && i < recording->file.devices; i++) {
    status = put_device(svg, i, fault);
    if (status == TNR_OK)
      status = put_device_names(svg, i, fault);
    svg->y += LANE + LANE_GAP;
  }
  return status;
}

tnr_status trace_export_svg(const struct trace_recording *recording, FILE *to, tnr_fault *fault) {
  uint32_t *order = trace_lanes_order(recording);
  int lanes = (int)recording->file.devices;
  double length = recording->last > 0 ? (double)recording->last : 1;
  struct svg svg = {
      .recording = recording, .to = to, .scale = (WIDTH - LEFT - RIGHT) / length, .y = TOP};
  if (!order)
    return spill_fail(fault, "a picture");
  for (uint32_t i = 0; i < recording->lanes.count; i++)
    lanes += is_drawn(&recording->lanes.at[i]);
  put_head(&svg, TOP + lanes * (LANE + LANE_GAP) + LANE);
  tnr_status status = put_lanes(&svg, order, fault);
  free(order);
  fputs("</svg>\n", to);
  return status;
}
