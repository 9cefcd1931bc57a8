import type { RouteConfig } from "../config/config.ts";
import type { ManagerApi } from "../manager/manager_api.ts";

/**
 * The routes of the configuration file. What the manager refuses it has reported and counted; the
 * others are wanted all the same.
 *
 * @returns how many were accepted
 */
export function registerConfigured(
  routes: readonly RouteConfig[],
  manager: Pick<ManagerApi, "register">,
): number {
  return routes.filter((route) => manager.register(route, "config").ok).length;
}
