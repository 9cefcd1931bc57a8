/** The install policy of the protocol's table "Routes", as one pure function. */

/** What happened to a wanted route. */
export type Occasion = "register" | "session_up" | "session_down" | "withdraw";

/**
 * What to do with it: `install` and `uninstall` ask the kernel; `keep` changes nothing; `forget` gives up
 * the claim and leaves the kernel as it is.
 */
export type RouteAction = "install" | "uninstall" | "keep" | "forget";

export interface PolicyInput {
  /** The daemon's mode: a passive one observes and never uninstalls on a failure. */
  readonly mode: "active" | "passive";
  /** The peer says that it is passive, and this daemon honours that. */
  readonly peerPassive: boolean;
  readonly noUninstall: boolean;
}

export function routeAction(occasion: Occasion, input: PolicyInput): RouteAction {
  switch (occasion) {
    case "register":
      return input.mode === "passive" ? "install" : "keep";
    case "session_up":
      return input.mode === "passive" ? "keep" : "install";
    case "session_down":
      if (input.mode === "passive") return "keep";
      if (input.noUninstall) return "forget";
      // A passive peer keeps its own route whatever happens: traffic still comes, answers must get back.
      return input.peerPassive ? "keep" : "uninstall";
    case "withdraw":
      return input.noUninstall ? "forget" : "uninstall";
  }
}
