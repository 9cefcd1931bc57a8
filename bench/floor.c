/*
 * floor: what the kernel alone costs a daemon that keeps N sessions.
 *
 * It receives and sends the same packets as a liveness daemon with N peers at 10.1.0.0/16, in batches,
 * every 5 ms, and does nothing else: no timers, no detection, no validation. It always says Up and
 * echoes the last discriminator it saw, which suffices for farside's peers. Every peer is served once
 * per interval at a fixed phase. What a daemon costs above this is its own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { MAX_PEERS = 250 * 256, BATCH = 256, PACKET_BYTES = 40, TURN_US = 5000, MULTIPLIER = 3 };

static uint8_t packets[MAX_PEERS][PACKET_BYTES];
static struct sockaddr_in addresses[MAX_PEERS];
static int socket_fd;

static void prepare_peer(int index, int port, int interval_ms) {
  uint8_t *packet = packets[index];
  uint32_t discriminator = htonl(index + 1), interval = htonl(interval_ms * 1000);
  packet[0] = 1 << 5;
  packet[1] = 3 << 6;
  packet[2] = MULTIPLIER;
  packet[3] = PACKET_BYTES;
  memcpy(packet + 4, &discriminator, 4);
  memcpy(packet + 12, &interval, 4);
  memcpy(packet + 16, &interval, 4);
  uint32_t host = (10u << 24) | (1u << 16) | ((uint32_t)(index / 250) << 8) | (uint32_t)(index % 250 + 1);
  addresses[index] = (struct sockaddr_in){
    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(host)}};
}

static void receive_all(int count) {
  static struct mmsghdr messages[BATCH];
  static struct iovec vectors[BATCH];
  static uint8_t buffers[BATCH][64];
  static struct sockaddr_in sources[BATCH];
  int received;
  do {
    for (int i = 0; i < BATCH; i++) {
      vectors[i] = (struct iovec){buffers[i], sizeof buffers[i]};
      messages[i].msg_hdr = (struct msghdr){.msg_name = &sources[i], .msg_namelen = sizeof sources[i],
        .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    received = recvmmsg(socket_fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < received; i++) {
      uint32_t host = ntohl(sources[i].sin_addr.s_addr);
      int index = (int)((host >> 8) & 255) * 250 + (int)(host & 255) - 1;
      if (index >= 0 && index < count) memcpy(packets[index] + 8, buffers[i] + 4, 4);
    }
  } while (received == BATCH);
}

static void send_range(int from, int to) {
  static struct mmsghdr messages[BATCH];
  static struct iovec vectors[BATCH];
  while (from < to) {
    int count = to - from < BATCH ? to - from : BATCH;
    for (int i = 0; i < count; i++) {
      vectors[i] = (struct iovec){packets[from + i], PACKET_BYTES};
      messages[i].msg_hdr = (struct msghdr){.msg_name = &addresses[from + i],
        .msg_namelen = sizeof addresses[0], .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    int sent = sendmmsg(socket_fd, messages, count, 0);
    from += sent > 0 ? sent : 1;
  }
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fputs("usage: floor LOCAL_ADDRESS PORT PEERS INTERVAL_MS\n", stderr);
    return 2;
  }
  int port = atoi(argv[2]), count = atoi(argv[3]), interval_ms = atoi(argv[4]);
  struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, argv[1], &local.sin_addr) != 1 || count < 1 || count > MAX_PEERS || interval_ms < 1) {
    fputs("floor: LOCAL_ADDRESS must be IPv4, PEERS 1 to 64000, INTERVAL_MS at least 1\n", stderr);
    return 2;
  }
  int buffer = 8 << 20, ttl = 255;
  socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  setsockopt(socket_fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  setsockopt(socket_fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
  if (socket_fd < 0 || bind(socket_fd, (struct sockaddr *)&local, sizeof local)) {
    perror("floor: bind");
    return 1;
  }
  for (int i = 0; i < count; i++) prepare_peer(i, port, interval_ms);

  /* Real daemons jitter to 95 % (RFC 5880) or 100 % of the interval on average; 100 % here. */
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  double share = (double)count * TURN_US / (interval_ms * 1000.0), due = 0;
  int next = 0;
  for (;;) {
    receive_all(count);
    for (due += share; due >= 1;) {
      int run = due < count - next ? (int)due : count - next;
      send_range(next, next + run);
      due -= run;
      next = (next + run) % count;
    }
    at.tv_nsec += TURN_US * 1000;
    if (at.tv_nsec >= 1000000000) at.tv_nsec -= 1000000000, at.tv_sec++;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
  }
}
