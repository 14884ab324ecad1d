#include "page.h"

#include <string.h>

static const unsigned char bytes[] = {
#include "page.inc"
    0};

static bool write_text(FILE *to, const char *text, size_t length) {
  return fwrite(text, 1, length, to) == length;
}

bool page_write(FILE *to, page_recording_fn *write_recording, void *user) {
  static const char mark[] = "<!-- RECORDING -->";
  const char *page = (const char *)bytes, *at = strstr(page, mark), *rest = at + strlen(mark);
  return write_text(to, page, (size_t)(at - page)) &&
         fputs("<script type=\"application/json\" id=\"recording\">", to) >= 0 &&
         write_recording(to, user) && fputs("</script>", to) >= 0 &&
         write_text(to, rest, strlen(rest));
}
