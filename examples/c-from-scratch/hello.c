/* Says who and where it is, and passes its arguments on. */
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char here[256];
    if (getcwd(here, sizeof here) == NULL) return 1;
    printf("Hello from process %d of user %d in %s\n", (int)getpid(), (int)getuid(), here);
    for (int i = 1; i < argc; i++) printf("%s%c", argv[i], i + 1 < argc ? ' ' : '\n');
    return 0;
}
