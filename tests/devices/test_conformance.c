/* The devices that come with the library, through the suite for all devices. */
#include "conformance.h"

int main(void) {
  return conformance_run(tnr_cpu_driver(), NULL) + conformance_run(tnr_null_driver(), NULL) +
         conformance_run(tnr_sim_driver(), NULL);
}
