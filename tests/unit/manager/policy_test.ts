import { assertEquals } from "@std/assert";
import type { RouteConfig } from "../../../src/config/config.ts";
import { type Occasion, routeAction } from "../../../src/manager/policy.ts";
import { Bench, type BenchOptions, route } from "./fixture.ts";

const OCCASIONS: readonly Occasion[] = ["register", "session_up", "session_down", "withdraw"];

/** The protocol's table "Routes": what follows on register, session up, session down, withdraw. */
const TABLE: readonly [name: string, input: Parameters<typeof routeAction>[1], actions: string][] =
  [
    [
      "active",
      { mode: "active", peerPassive: false, noUninstall: false },
      "keep install uninstall uninstall",
    ],
    [
      "active, peer passive",
      { mode: "active", peerPassive: true, noUninstall: false },
      "keep install keep uninstall",
    ],
    [
      "active, no_uninstall",
      { mode: "active", peerPassive: false, noUninstall: true },
      "keep install forget forget",
    ],
    [
      "active, peer passive, no_uninstall",
      { mode: "active", peerPassive: true, noUninstall: true },
      "keep install forget forget",
    ],
    [
      "passive",
      { mode: "passive", peerPassive: false, noUninstall: false },
      "install keep keep uninstall",
    ],
    [
      "passive, peer passive",
      { mode: "passive", peerPassive: true, noUninstall: false },
      "install keep keep uninstall",
    ],
    [
      "passive, no_uninstall",
      { mode: "passive", peerPassive: false, noUninstall: true },
      "install keep keep forget",
    ],
    ["passive, peer passive, no_uninstall", {
      mode: "passive",
      peerPassive: true,
      noUninstall: true,
    }, "install keep keep forget"],
  ];

for (const [name, input, actions] of TABLE) {
  Deno.test(`policy, ${name}: register, up, down, withdraw mean ${actions}`, () => {
    assertEquals(OCCASIONS.map((occasion) => routeAction(occasion, input)).join(" "), actions);
  });
}

// The same, seen in the kernel: present (+) or absent (-) after register, up, down, up again, withdraw.
const LIVES: readonly [
  string,
  BenchOptions,
  { noUninstall?: boolean; peerPassive?: boolean },
  string,
][] = [
  ["active", {}, {}, "-+-+-"],
  ["active, no_uninstall", {}, { noUninstall: true }, "-++++"],
  ["active, peer passive", {}, { peerPassive: true }, "-+++-"],
  ["active, peer passive but not honoured", { liveness: { honorPeerPassive: false } }, {
    peerPassive: true,
  }, "-+-+-"],
  ["passive", { mode: "passive" }, {}, "++++-"],
  ["passive, peer passive", { mode: "passive" }, { peerPassive: true }, "++++-"],
  ["passive, no_uninstall", { mode: "passive" }, { noUninstall: true }, "+++++"],
  ["active, excluded", { exclude: ["10.1.0.1"] }, {}, "-----"],
  ["passive, excluded", { mode: "passive", exclude: ["10.1.0.1"] }, {}, "-----"],
];

for (const [name, options, { noUninstall = false, peerPassive = false }, expected] of LIVES) {
  Deno.test(`${name}: the kernel's route through its life is ${expected}`, async () => {
    const config: RouteConfig = route(1, { noUninstall });
    const bench = await Bench.started(options, config);
    const { transport } = bench;
    let seen = "";
    const look = async () => {
      await bench.settle();
      seen += bench.holds(config) ? "+" : "-";
      assertEquals(bench.entry(config)?.believed ?? false, bench.manager.book.installedCount === 1);
    };
    await look();
    bench.bringUp(config, peerPassive);
    await look();
    await bench.advance(1_000_000);
    await look();
    bench.bringUp(config, peerPassive);
    await look();
    await bench.manager.withdraw(config);
    await look();
    assertEquals(seen, expected);
    assertEquals(transport.received, 4, "the peer was heard");
    assertEquals(bench.manager.counts().routesInstalled, 0);
    assertEquals(bench.told("route_forgotten").length, 1);
  });
}

Deno.test("a passive daemon says so to its peers, an active one does not", async () => {
  for (const mode of ["active", "passive"] as const) {
    const bench = await Bench.started({ mode }, route(1));
    await bench.advance(100_000);
    assertEquals(bench.sent(route(1)).map(({ passive }) => passive), [mode === "passive"]);
  }
});
