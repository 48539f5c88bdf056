// What testcontainers calls its reaper: clients say labels on port 8080, each line is answered by ACK; when the last client
// has gone, every container, network and volume with one of these labels is removed over the engine's socket.
#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS = 16, LABELS = 64, TEXT = 1 << 20, PATIENCE_MS = 500 };

static char labels[LABELS][256];
static int label_count;

static char *call(const char *method, const char *path) {
  static char answer[TEXT];
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/var/run/docker.sock"};
  size_t length = 0;
  ssize_t got;
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) return "";
  dprintf(fd, "%s %s HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n", method, path);
  while (length < TEXT - 1 && (got = read(fd, answer + length, TEXT - 1 - length)) > 0) length += (size_t)got;
  close(fd);
  answer[length] = 0;
  return answer;
}

// Of each object of the list at `path` what stands at `key`, removed by `removal` with it.
static void remove_all(const char *path, const char *label, const char *key, const char *removal) {
  char request[1024], name[256], *at = NULL;
  snprintf(request, sizeof request, path, label);
  char *list = strdup(call("GET", request));
  for (at = list; (at = strstr(at, key)) != NULL;) {
    at += strlen(key);
    char *end = strchr(at, '"');
    if (end == NULL || (size_t)(end - at) >= sizeof name) break;
    memcpy(name, at, (size_t)(end - at));
    name[end - at] = 0;
    snprintf(request, sizeof request, removal, name);
    call("DELETE", request);
  }
  free(list);
}

static void take_line(char *line) {
  line[strcspn(line, "\r\n")] = 0;
  if (strncmp(line, "label=", 6) == 0 && label_count < LABELS) snprintf(labels[label_count++], 256, "%s", line + 6);
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080)};
  struct pollfd fds[CLIENTS + 1];
  int listener = socket(AF_INET, SOCK_STREAM, 0), clients = 0, met = 0, on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, CLIENTS) < 0) return 1;
  printf("Started\n");
  fflush(stdout);
  fds[0] = (struct pollfd){listener, POLLIN, 0};
  while (poll(fds, (nfds_t)clients + 1, met && clients == 0 ? PATIENCE_MS : -1) > 0) {
    if (fds[0].revents != 0 && clients < CLIENTS) {
      int fd = accept(listener, NULL, NULL);
      if (fd >= 0) fds[++clients] = (struct pollfd){fd, POLLIN, 0}, met = 1;
    }
    for (int i = clients; i > 0; i--) {
      char line[1024];
      if (fds[i].revents == 0) continue;
      ssize_t got = read(fds[i].fd, line, sizeof line - 1);
      if (got <= 0) {
        close(fds[i].fd);
        fds[i] = fds[clients--];
        continue;
      }
      line[got] = 0;
      take_line(line);
      dprintf(fds[i].fd, "ACK\n");
    }
  }
  for (int i = 0; i < label_count; i++) {
    remove_all("/containers/json?all=1&filters={\"label\":[\"%s\"]}", labels[i], "\"Id\":\"", "/containers/%s?force=1&v=1");
    remove_all("/networks?filters={\"label\":[\"%s\"]}", labels[i], "\"Id\":\"", "/networks/%s");
    remove_all("/volumes?filters={\"label\":[\"%s\"]}", labels[i], "\"Name\":\"", "/volumes/%s");
  }
  return 0;
}
