#include "flight.h"

#include <stdlib.h>

#include "../devices/pool.h"

enum { CHUNK_BYTES_MIN = 32 << 10, CHUNK_BYTES_MAX = 4 << 20 };

typedef struct tnr_flight_chunk {
  struct tnr_flight_chunk *next;
} tnr_flight_chunk;

static bool grow(tnr_flights *flights) {
  size_t bytes = flights->chunk_bytes ? flights->chunk_bytes : CHUNK_BYTES_MIN;
  tnr_flight_chunk *chunk = tnr_system_alloc(bytes);
  if (!chunk) /* perhaps there is room for a few */
    chunk = tnr_system_alloc(bytes = CHUNK_BYTES_MIN);
  if (!chunk)
    return false;
  chunk->next = flights->chunks;
  flights->chunks = chunk;
  flights->unused = (char *)(chunk + 1);
  flights->unused_bytes = bytes - sizeof *chunk;
  flights->chunk_bytes = bytes < CHUNK_BYTES_MAX ? 2 * bytes : bytes;
  return true;
}

static tnr_flight *take_unused(tnr_flights *flights) {
  if (flights->unused_bytes < sizeof(tnr_flight) && !grow(flights))
    return NULL;
  tnr_flight *taken = (tnr_flight *)flights->unused;
  flights->unused += sizeof *taken;
  flights->unused_bytes -= sizeof *taken;
  return taken;
}

tnr_flight *tnr_flight_new(tnr_flights *flights) {
  if (TNR_POOL_PASS_THROUGH)
    return malloc(sizeof(tnr_flight));
  void *taken = flights->free;
  if (!taken)
    return take_unused(flights);
  flights->free = *(void **)taken;
  return taken;
}

void tnr_flight_free(tnr_flights *flights, tnr_flight *flight) {
  if (TNR_POOL_PASS_THROUGH) {
    free(flight);
    return;
  }
  *(void **)flight = flights->free;
  flights->free = flight;
}

void tnr_flights_finish(tnr_flights *flights) {
  for (tnr_flight_chunk *chunk = flights->chunks, *next; chunk; chunk = next) {
    next = chunk->next;
    free(chunk);
  }
}
