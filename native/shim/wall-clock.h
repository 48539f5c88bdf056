#pragma once
enum { WALL_CLOCK_TEXT = 40 };

// Now, as RFC 3339 with nanoseconds, in UTC.
void wall_clock_text(char text[static WALL_CLOCK_TEXT]);
// Milliseconds of a clock that only goes forward.
long long monotonic_ms(void);
