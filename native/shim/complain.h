#pragma once

// Says on stderr, which is `<directory>/shim.log`, what went wrong and errno.
void complain(const char *doing, const char *what);
