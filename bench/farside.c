/*
 * farside: many light liveness peers in one process, the other end of a measurement.
 *
 * Peer number i (0, 1, 2, …) owns the address 10.1.(i / 250).(i % 250 + 1) and keeps one session with
 * the daemon at --dst. All peers share one UDP socket: the addresses are made local in one go with
 *     ip route add local 10.1.0.0/16 dev lo
 * and every datagram carries its own source address (IP_PKTINFO). A packet is 24 bytes (BFD, RFC 5880
 * §4.1) or 40 bytes (the doublezero profile, the same header and a tail of zeros).
 *
 * SIGUSR1 silences all peers but the talkative (--talkative PERCENT of them), SIGUSR2 lets them speak again.
 * Sends are spread over time as those of separate hosts are: it looks for what is due every 0.2 ms.
 *
 * Once a second (or every --report-ms) it prints one JSON object:
 *   t            seconds since the start
 *   tx, rx       datagrams sent and received so far
 *   up           peers whose own state is Up
 *   remote_up    peers whose far end said Up in its latest packet, not older than the detect time
 *   downs        how often a peer has left Up so far (silence of its own making included)
 *   live_downs   those among them of talkative peers
 *   gaps         intervals observed between two packets of one session that both said Up
 *   short_gaps   those below 90 % of the interval
 *   shortest_us  the shortest since the report before; 0: there was none
 *   first_rx_us, silent_us, spoke_us   wall clock: the first packet, begin and end of the latest silence; 0: never
 * Arrival times are the kernel's (SO_TIMESTAMPNS), so that this program's own lateness is in none of them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
  MAX_PEERS = 250 * 256,
  BATCH = 256,
  PACKET_BYTES = 40,
  MULTIPLIER = 3,
  TURN_US = 200,    /* rest between two turns of the loop */
  SLOT_US = 200,    /* one slot of the transmission wheel */
  SLOTS = 20480,    /* the wheel spans 4 s, the longest interval */
  NONE = -1,
  POLL = 0x20, FINAL = 0x10 /* flags, RFC 5880 §4.1 */
};

enum state { ADMIN_DOWN, DOWN, INIT, UP };

struct peer {
  enum state state, remote_state;
  uint32_t remote_discriminator; /* network order, 0 while unknown */
  int64_t last_rx;               /* µs */
  int64_t last_up;               /* arrival of the latest packet that said Up, wall clock, µs; 0: it did not */
  int next;                      /* next peer in the same wheel slot */
};

static struct options {
  int peers, interval_ms, port, length, report_ms, talkative;
  double seconds;
  struct sockaddr_in dst;
} options = {.peers = 2000, .interval_ms = 300, .port = 44880, .length = 40, .report_ms = 1000,
             .seconds = 1e9};

static struct peer peers[MAX_PEERS];
static int wheel[SLOTS];
static int64_t wheel_position; /* the first slot, counted since the start, that is not served yet */
static long tx_packets, rx_packets, downs, live_downs, gaps, short_gaps;
static int64_t shortest, first_rx, silent_at, spoke_at; /* µs; the last three wall clock */
static volatile sig_atomic_t silence_wanted;
static int silent;
static int socket_fd;

static int64_t microseconds(struct timespec t) { return t.tv_sec * 1000000LL + t.tv_nsec / 1000; }

static int64_t read_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return microseconds(t);
}

static int64_t now_us(void) { return read_clock(CLOCK_MONOTONIC); }

static void fail(const char *what) {
  fprintf(stderr, "farside: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* Wheel: a peer waits in the slot of its next transmission. */
static void schedule(int index, int64_t at) {
  int64_t slot = at / SLOT_US;
  if (slot < wheel_position) slot = wheel_position;
  peers[index].next = wheel[slot % SLOTS];
  wheel[slot % SLOTS] = index;
}

static int64_t jittered_interval(void) {
  return options.interval_ms * 1000.0 * (0.9 + 0.2 * drand48());
}

static int64_t detect_time(void) { return (int64_t)MULTIPLIER * options.interval_ms * 1000; }

/* The talkative are spread evenly over all peers. */
static int is_talkative(const struct peer *p) { return (p - peers) % 100 < options.talkative; }

static void enter(struct peer *p, enum state next) {
  if (p->state == UP && next != UP) {
    downs++;
    live_downs += is_talkative(p);
  }
  p->state = next;
}

/* How far apart the far end's packets are while it says Up. What it says first in a state may come early. */
static void measure_gap(struct peer *p, int64_t arrival) {
  int64_t gap = arrival - p->last_up;
  int is_up = p->remote_state == UP;
  if (is_up && p->last_up != 0) {
    gaps++;
    short_gaps += gap < options.interval_ms * 900LL;
    if (shortest == 0 || gap < shortest) shortest = gap;
  }
  p->last_up = is_up ? arrival : 0;
}

/* RFC 5880 §6.8.6, plus the profile's shortcut: a 40-byte peer in Down believes an Up that echoes it. */
static void advance(struct peer *p, enum state remote, int echoes_us) {
  int agreed = echoes_us && (remote == INIT || remote == UP);
  if (remote == ADMIN_DOWN) {
    enter(p, DOWN);
  } else if (p->state == DOWN) {
    if (remote == DOWN) enter(p, INIT);
    else if (agreed && (remote == INIT || options.length == 40)) enter(p, UP);
  } else if (p->state == INIT) {
    if (agreed) enter(p, UP);
  } else if (remote == DOWN) {
    enter(p, DOWN);
  }
}

static int index_of(struct in_addr address) {
  uint32_t host = ntohl(address.s_addr);
  if (host >> 16 != ((10 << 8) | 1) || (host & 255) == 0 || (host & 255) > 250) return NONE;
  int index = (int)((host >> 8) & 255) * 250 + (int)(host & 255) - 1;
  return index < options.peers ? index : NONE;
}

static struct in_addr address_of(int index) {
  uint32_t host = (10u << 24) | (1u << 16) | ((uint32_t)(index / 250) << 8) | (uint32_t)(index % 250 + 1);
  return (struct in_addr){htonl(host)};
}

static struct {
  struct mmsghdr messages[BATCH];
  struct iovec vectors[BATCH];
  uint8_t packets[BATCH][PACKET_BYTES];
  char controls[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
  int count;
} outgoing;

static void prepare_outgoing(void) {
  for (int i = 0; i < BATCH; i++) {
    outgoing.vectors[i] = (struct iovec){outgoing.packets[i], options.length};
    outgoing.messages[i].msg_hdr = (struct msghdr){
      .msg_name = &options.dst, .msg_namelen = sizeof options.dst,
      .msg_iov = &outgoing.vectors[i], .msg_iovlen = 1,
      .msg_control = outgoing.controls[i], .msg_controllen = sizeof outgoing.controls[i]};
    struct cmsghdr *control = CMSG_FIRSTHDR(&outgoing.messages[i].msg_hdr);
    control->cmsg_level = IPPROTO_IP;
    control->cmsg_type = IP_PKTINFO;
    control->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
  }
}

static void flush(void) {
  int sent = 0;
  while (sent < outgoing.count) {
    int n = sendmmsg(socket_fd, outgoing.messages + sent, outgoing.count - sent, 0);
    if (n > 0) tx_packets += n;
    sent += n > 0 ? n : 1; /* the first one was refused: a lost packet, as on a real link */
  }
  outgoing.count = 0;
}

static void put32(uint8_t *at, uint32_t value) {
  value = htonl(value);
  memcpy(at, &value, 4);
}

static void send_packet(int index, int flags) {
  const struct peer *p = &peers[index];
  uint8_t *packet = outgoing.packets[outgoing.count];
  memset(packet, 0, PACKET_BYTES);
  packet[0] = 1 << 5;
  packet[1] = p->state << 6 | flags;
  packet[2] = MULTIPLIER;
  packet[3] = options.length;
  put32(packet + 4, index + 1);
  memcpy(packet + 8, &p->remote_discriminator, 4);
  put32(packet + 12, options.interval_ms * 1000);
  put32(packet + 16, options.interval_ms * 1000);
  struct in_pktinfo info = {.ipi_spec_dst = address_of(index)};
  memcpy(CMSG_DATA(CMSG_FIRSTHDR(&outgoing.messages[outgoing.count].msg_hdr)), &info, sizeof info);
  if (++outgoing.count == BATCH) flush();
}

static void take(int index, const uint8_t *packet, int64_t at, int64_t arrival) {
  struct peer *p = &peers[index];
  uint32_t theirs, ours;
  memcpy(&theirs, packet + 4, 4);
  memcpy(&ours, packet + 8, 4);
  if (ours != 0 && ntohl(ours) != (uint32_t)index + 1) return; /* another instance of this session */
  p->remote_discriminator = theirs;
  p->remote_state = packet[1] >> 6;
  p->last_rx = at;
  measure_gap(p, arrival);
  advance(p, p->remote_state, ours != 0);
  /* Who changes its intervals keeps the old ones until its poll is answered. */
  if ((packet[1] & POLL) && (!silent || is_talkative(p))) send_packet(index, FINAL);
}

/* Reads the destination address and the kernel's time of arrival (wall clock, µs). */
static int64_t read_controls(struct msghdr *header, struct in_addr *to) {
  struct timespec arrival = {0};
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) memcpy(&arrival, CMSG_DATA(c), sizeof arrival);
    if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO) continue;
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(c), sizeof info);
    *to = info.ipi_addr;
  }
  return microseconds(arrival);
}

static void receive_all(void) {
  static struct mmsghdr messages[BATCH];
  static struct iovec vectors[BATCH];
  static uint8_t packets[BATCH][64];
  static char controls[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(struct timespec))];
  int received;
  do {
    for (int i = 0; i < BATCH; i++) {
      vectors[i] = (struct iovec){packets[i], sizeof packets[i]};
      messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1,
        .msg_control = controls[i], .msg_controllen = sizeof controls[i]};
    }
    received = recvmmsg(socket_fd, messages, BATCH, MSG_DONTWAIT, NULL);
    int64_t at = now_us();
    for (int i = 0; i < received; i++) {
      struct in_addr to = {0};
      int64_t arrival = read_controls(&messages[i].msg_hdr, &to);
      int index = index_of(to);
      if (index == NONE || messages[i].msg_len < 24) continue;
      rx_packets++;
      if (first_rx == 0) first_rx = arrival;
      take(index, packets[i], at, arrival);
    }
  } while (received == BATCH);
}

static void serve(int index, int64_t at) {
  struct peer *p = &peers[index];
  if (p->state != DOWN && at - p->last_rx > detect_time()) {
    enter(p, DOWN);
    p->remote_discriminator = 0;
  }
  if (!silent || is_talkative(p)) send_packet(index, 0);
  schedule(index, at + jittered_interval());
}

static void serve_due(int64_t at) {
  int64_t present = at / SLOT_US;
  while (wheel_position < present) {
    int index = wheel[wheel_position % SLOTS];
    wheel[wheel_position % SLOTS] = NONE;
    wheel_position++;
    while (index != NONE) {
      int next = peers[index].next;
      serve(index, at);
      index = next;
    }
  }
  flush();
}

/* Called between two rounds of sending: from the stamp on, nobody speaks. */
static void heed_silence(void) {
  if (silent == silence_wanted) return;
  silent = silence_wanted;
  *(silent ? &silent_at : &spoke_at) = read_clock(CLOCK_REALTIME);
}

static void on_signal(int number) { silence_wanted = number == SIGUSR1; }

static void report(double t, int64_t at) {
  int up = 0, remote_up = 0;
  for (int i = 0; i < options.peers; i++) {
    up += peers[i].state == UP;
    remote_up += peers[i].remote_state == UP && at - peers[i].last_rx <= detect_time();
  }
  printf("{\"t\":%.3f,\"tx\":%ld,\"rx\":%ld,\"up\":%d,\"remote_up\":%d,\"downs\":%ld,\"live_downs\":%ld,", t,
         tx_packets, rx_packets, up, remote_up, downs, live_downs);
  printf("\"gaps\":%ld,\"short_gaps\":%ld,\"shortest_us\":%ld,", gaps, short_gaps, (long)shortest);
  printf("\"first_rx_us\":%ld,\"silent_us\":%ld,\"spoke_us\":%ld}\n", (long)first_rx, (long)silent_at, (long)spoke_at);
  fflush(stdout);
  shortest = 0;
}

static void open_socket(void) {
  int on = 1, buffer = 8 << 20, ttl = 255;
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = options.dst.sin_port};
  socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) fail("socket");
  if (setsockopt(socket_fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer)) fail("SO_RCVBUFFORCE");
  if (setsockopt(socket_fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer)) fail("SO_SNDBUFFORCE");
  if (setsockopt(socket_fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on)) fail("IP_PKTINFO");
  if (setsockopt(socket_fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on)) fail("SO_TIMESTAMPNS");
  if (setsockopt(socket_fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl)) fail("IP_TTL");
  if (bind(socket_fd, (struct sockaddr *)&any, sizeof any)) fail("bind");
}

static void usage(FILE *to) {
  fputs("usage: farside --dst ADDRESS [--peers N] [--interval-ms MS] [--port PORT] [--length 24|40]\n"
        "               [--report-ms MS] [--seconds S] [--talkative PERCENT]\n"
        "N peers (at most 64000) at 10.1.0.0/16 keep a session each with ADDRESS; one JSON line a report.\n"
        "Defaults: 2000 peers, 300 ms (at most 3500), port 44880, 40 bytes, a report a second, until killed.\n"
        "SIGUSR1 silences all but the talkative, SIGUSR2 ends the silence.\n", to);
}

static double number(const char *name, const char *text, double low, double high) {
  char *end;
  double value = strtod(text, &end);
  if (*text == '\0' || *end != '\0' || !(value >= low && value <= high)) {
    fprintf(stderr, "farside: --%s %s: must be a number from %g to %g\n", name, text, low, high);
    exit(2);
  }
  return value;
}

static void read_options(int argc, char **argv) {
  static const struct option names[] = {
    {"peers", required_argument, NULL, 'n'}, {"interval-ms", required_argument, NULL, 'i'},
    {"port", required_argument, NULL, 'p'}, {"length", required_argument, NULL, 'l'},
    {"dst", required_argument, NULL, 'd'}, {"seconds", required_argument, NULL, 's'},
    {"talkative", required_argument, NULL, 't'}, {"report-ms", required_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
  int chosen, at;
  while ((chosen = getopt_long(argc, argv, "", names, &at)) != -1) {
    switch (chosen) {
      case 'n': options.peers = number("peers", optarg, 1, MAX_PEERS); break;
      case 'i': options.interval_ms = number("interval-ms", optarg, 1, 3500); break;
      case 'p': options.port = number("port", optarg, 1, 65535); break;
      case 'l': options.length = number("length", optarg, 24, 40); break;
      case 'r': options.report_ms = number("report-ms", optarg, 10, 1e6); break;
      case 's': options.seconds = number("seconds", optarg, 0, 1e9); break;
      case 't': options.talkative = number("talkative", optarg, 0, 100); break;
      case 'd':
        if (inet_pton(AF_INET, optarg, &options.dst.sin_addr) == 1) break;
        fprintf(stderr, "farside: --dst %s: must be an IPv4 address\n", optarg);
        exit(2);
      case 'h': usage(stdout); exit(0);
      default: usage(stderr); exit(2);
    }
  }
  if (optind != argc || options.dst.sin_addr.s_addr == 0 || (options.length != 24 && options.length != 40)) {
    usage(stderr);
    exit(2);
  }
  options.dst.sin_family = AF_INET;
  options.dst.sin_port = htons(options.port);
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  signal(SIGUSR1, on_signal);
  signal(SIGUSR2, on_signal);
  open_socket();
  prepare_outgoing();
  int64_t start = now_us(), next_report = start + options.report_ms * 1000LL;
  srand48(start);
  wheel_position = start / SLOT_US;
  for (int i = 0; i < SLOTS; i++) wheel[i] = NONE;
  for (int i = 0; i < options.peers; i++) {
    peers[i].state = peers[i].remote_state = DOWN;
    schedule(i, start + options.interval_ms * 1000.0 * drand48());
  }
  for (;;) {
    int64_t at = now_us();
    double t = (at - start) * 1e-6;
    if (t > options.seconds) return 0;
    receive_all();
    heed_silence();
    serve_due(at);
    if (at >= next_report) {
      report(t, at);
      next_report += options.report_ms * 1000LL;
    }
    struct timespec rest = {0, TURN_US * 1000};
    nanosleep(&rest, NULL);
  }
}
