/*
 * Preloaded into Samba, whose LDAP ports are fixed: adds PORT_SHIFT to every TCP and UDP port below 10000 that it binds,
 * and takes it away again from the local address of a socket, because Samba tells LDAPS and the global catalog by it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { HIGHEST = 10000 };

static int shift(void) {
  const char *text = getenv("PORT_SHIFT");
  return text ? atoi(text) : 0;
}

/* The port of an IPv4 or IPv6 address, NULL for any other family. */
static in_port_t *port_of(struct sockaddr *address) {
  if (address->sa_family == AF_INET) return &((struct sockaddr_in *)address)->sin_port;
  if (address->sa_family == AF_INET6) return &((struct sockaddr_in6 *)address)->sin6_port;
  return NULL;
}

int bind(int fd, const struct sockaddr *address, socklen_t length) {
  static int (*next)(int, const struct sockaddr *, socklen_t);
  if (!next) next = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
  struct sockaddr_storage copy;
  if (length > sizeof copy) return next(fd, address, length);
  memcpy(&copy, address, length);
  in_port_t *port = port_of((struct sockaddr *)&copy);
  if (port && ntohs(*port) != 0 && ntohs(*port) < HIGHEST) *port = htons((in_port_t)(ntohs(*port) + shift()));
  return next(fd, (struct sockaddr *)&copy, length);
}

int getsockname(int fd, struct sockaddr *restrict address, socklen_t *restrict length) {
  static int (*next)(int, struct sockaddr *, socklen_t *);
  if (!next) next = (int (*)(int, struct sockaddr *, socklen_t *))dlsym(RTLD_NEXT, "getsockname");
  int result = next(fd, address, length);
  in_port_t *port = result == 0 ? port_of(address) : NULL;
  int original = port ? ntohs(*port) - shift() : 0;
  if (original > 0 && original < HIGHEST) *port = htons((in_port_t)original);
  return result;
}
