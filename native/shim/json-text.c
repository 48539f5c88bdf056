#include "json-text.h"

#include <stdio.h>
#include <string.h>

// The length of the well-formed sequence at `s` (RFC 3629: no overlong forms, no surrogates), or 0.
static size_t utf8_length(const uint8_t *s, size_t left) {
  uint8_t low = 0x80, high = 0xbf;
  size_t length;
  if (s[0] < 0x80) return 1;
  if (s[0] >= 0xc2 && s[0] <= 0xdf)
    length = 2;
  else if (s[0] >= 0xe0 && s[0] <= 0xef)
    length = 3;
  else if (s[0] >= 0xf0 && s[0] <= 0xf4)
    length = 4;
  else
    return 0;
  if (s[0] == 0xe0) low = 0xa0;
  if (s[0] == 0xed) high = 0x9f;
  if (s[0] == 0xf0) low = 0x90;
  if (s[0] == 0xf4) high = 0x8f;
  if (left < length || s[1] < low || s[1] > high) return 0;
  for (size_t i = 2; i < length; i++)
    if (s[i] < 0x80 || s[i] > 0xbf) return 0;
  return length;
}

static size_t escape(uint8_t byte, char *to) {
  switch (byte) {
    case '"':
      return (size_t)sprintf(to, "\\\"");
    case '\\':
      return (size_t)sprintf(to, "\\\\");
    case '\n':
      return (size_t)sprintf(to, "\\n");
    case '\r':
      return (size_t)sprintf(to, "\\r");
    case '\t':
      return (size_t)sprintf(to, "\\t");
    default:
      return (size_t)sprintf(to, "\\u%04x", byte);
  }
}

bool json_text(struct bytes *out, const uint8_t *data, size_t size) {
  // The longest a byte can become is \u001f; U+FFFD has three bytes.
  uint8_t *start = bytes_reserve(out, size * 6), *to = start;
  if (start == NULL) return false;
  while (size > 0) {
    size_t length = utf8_length(data, size);
    if (length == 0) {
      memcpy(to, "\xef\xbf\xbd", 3);
      to += 3;
      length = 1;
    } else if (data[0] < 0x20 || data[0] == '"' || data[0] == '\\' || data[0] == 0x7f) {
      char text[8];
      size_t escaped = escape(data[0], text);
      memcpy(to, text, escaped);
      to += escaped;
    } else {
      memcpy(to, data, length);
      to += length;
    }
    data += length;
    size -= length;
  }
  out->end += (size_t)(to - start);
  return true;
}
