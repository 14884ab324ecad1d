/* The page that shows a recording: one HTML file that needs no other, made of the sources in page/.
 */
#ifndef TENOR_TOOL_PAGE_H
#define TENOR_TOOL_PAGE_H

#include <stdbool.h>
#include <stdio.h>

/* Writes the recording, as one JSON object without any '<', to `to`; false when that fails. */
typedef bool page_recording_fn(FILE *to, void *user);

/* Writes the page to `to`, with `write_recording` called once, where its recording goes. False when
 * either fails; then what has been written is no page. */
bool page_write(FILE *to, page_recording_fn *write_recording, void *user);

#endif
