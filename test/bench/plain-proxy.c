/*
 * The baseline of the udp-tunnel benchmark and the other end of its interoperation tests: a
 * TUN-to-UDP proxy that behaves as contract section 3.3 describes flannel's, moving one packet
 * per system call in one thread. Written for this purpose; compiled by cc when it is needed.
 *
 *   plain-proxy DEVICE BIND PORT ADDRESS [SUBNET PREFIX REMOTE PORT]...
 *
 * While packets flow it reads both sides in turn without asking poll first, which is the faster
 * way to do one packet per call, so that the comparison is not won by a slow baseline.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PACKET 65536

struct route {
  uint32_t network, mask;
  struct sockaddr_in to;
};

static struct route *routes;
static int route_count;
static int tun, sock;
static uint32_t own_address;
static unsigned char packet[MAX_PACKET];

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint16_t checksum(const void *data, size_t length) {
  const uint8_t *bytes = data;
  uint32_t sum = 0;
  for (size_t at = 0; at + 1 < length; at += 2) sum += (uint32_t)bytes[at] << 8 | bytes[at + 1];
  if (length & 1) sum += (uint32_t)bytes[length - 1] << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons((uint16_t)~sum);
}

/* First matching route wins and moves to the front. */
static struct route *find_route(uint32_t destination) {
  for (int index = 0; index < route_count; index++) {
    if ((destination & routes[index].mask) != routes[index].network) continue;
    if (index > 0) {
      struct route found = routes[index];
      memmove(routes + 1, routes, (size_t)index * sizeof(found));
      routes[0] = found;
    }
    return &routes[0];
  }
  return NULL;
}

static int take_hop(struct iphdr *ip) {
  if (ip->ttl <= 1) return 0;
  ip->ttl--;
  uint32_t sum = (uint32_t)ip->check + htons(0x0100);
  ip->check = (uint16_t)(sum + (sum >= 0xffff));
  return 1;
}

static void send_unreachable(const struct iphdr *offender, size_t length) {
  unsigned char reply[20 + 8 + 68] = {0};
  struct iphdr *ip = (struct iphdr *)reply;
  if (offender->protocol == IPPROTO_ICMP || (ntohs(offender->frag_off) & 0x1fff)) return;
  size_t quoted = offender->ihl * 4u + 8u;
  if (quoted > length) quoted = length;
  memcpy(reply + 28, offender, quoted);
  reply[20] = 3;
  *(uint16_t *)(reply + 22) = checksum(reply + 20, 8 + quoted);
  ip->version = 4;
  ip->ihl = 5;
  ip->tot_len = htons((uint16_t)(28 + quoted));
  ip->ttl = 64;
  ip->protocol = IPPROTO_ICMP;
  ip->saddr = own_address;
  ip->daddr = offender->saddr;
  ip->check = checksum(ip, 20);
  if (write(tun, reply, 28 + quoted) < 0) return;
}

static int tun_to_udp(void) {
  ssize_t length = read(tun, packet, sizeof(packet));
  if (length < 0) {
    if (errno != EAGAIN) die("read");
    return 0;
  }
  struct iphdr *ip = (struct iphdr *)packet;
  if (length < 20 || ip->version != 4) return 1;
  struct route *route = find_route(ip->daddr);
  if (!route) {
    send_unreachable(ip, (size_t)length);
    return 1;
  }
  if (!take_hop(ip)) return 1;
  ssize_t sent = sendto(sock, packet, (size_t)length, 0, (struct sockaddr *)&route->to,
                        sizeof(route->to));
  (void)sent;
  return 1;
}

static int udp_to_tun(void) {
  ssize_t length = recv(sock, packet, sizeof(packet), 0);
  if (length < 0) {
    if (errno != EAGAIN) die("recv");
    return 0;
  }
  if (length < 20 || !take_hop((struct iphdr *)packet)) return 1;
  if (write(tun, packet, (size_t)length) < 0 && errno != EIO && errno != EINVAL) die("write");
  return 1;
}

static void open_tun(const char *name) {
  struct ifreq request = {0};
  tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (tun < 0) die("/dev/net/tun");
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
  if (ioctl(tun, TUNSETIFF, &request) < 0) die(name);
}

static void open_socket(const char *address, int port) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, address, &name.sin_addr);
  sock = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (sock < 0 || bind(sock, (struct sockaddr *)&name, sizeof(name)) < 0) die("socket");
}

static void add_route(char **words) {
  int prefix = atoi(words[1]);
  struct route *route = &routes[route_count++];
  inet_pton(AF_INET, words[0], &route->network);
  route->mask = prefix == 0 ? 0 : htonl(~0u << (32 - prefix));
  route->to.sin_family = AF_INET;
  inet_pton(AF_INET, words[2], &route->to.sin_addr);
  route->to.sin_port = htons((uint16_t)atoi(words[3]));
}

int main(int argc, char **argv) {
  if (argc < 5 || (argc - 5) % 4 != 0) {
    fprintf(stderr, "usage: %s DEVICE BIND PORT ADDRESS [SUBNET PREFIX REMOTE PORT]...\n", argv[0]);
    return 2;
  }
  open_tun(argv[1]);
  open_socket(argv[2], atoi(argv[3]));
  inet_pton(AF_INET, argv[4], &own_address);
  routes = calloc((size_t)(argc - 5) / 4 + 1, sizeof(*routes));
  for (int at = 5; at < argc; at += 4) add_route(argv + at);
  puts("ready");
  fflush(stdout);
  struct pollfd fds[2] = {{.fd = tun, .events = POLLIN}, {.fd = sock, .events = POLLIN}};
  for (;;) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) die("poll");
    while (tun_to_udp() + udp_to_tun() > 0) {
    }
  }
}
