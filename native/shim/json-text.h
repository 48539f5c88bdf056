#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

// Appends any bytes as the inside of a JSON string (RFC 8259); what is no UTF-8 becomes U+FFFD, byte for byte. False when
// out of memory.
bool json_text(struct bytes *out, const uint8_t *data, size_t size);
