/** The program may not change routes: it lacks a capability in its network namespace. */
export class MissingCapability extends Error {
  override readonly name = "MissingCapability";
  readonly capability = "CAP_NET_ADMIN";

  constructor() {
    super(
      "the kernel refuses changes to its routes: CAP_NET_ADMIN is missing. Run livenessd as root, or " +
        "give it the capability: AmbientCapabilities=CAP_NET_ADMIN in its systemd unit, or " +
        "setcap cap_net_admin+ep on the executable.",
    );
  }
}
