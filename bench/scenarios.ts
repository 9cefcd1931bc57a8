/** All scenarios, in the order in which they run. */
import type { Scenario } from "./scenario.ts";
import { adversity } from "./scenarios/adversity.ts";
import { cost } from "./scenarios/cost.ts";
import { garbage } from "./scenarios/garbage.ts";
import { scale } from "./scenarios/scale.ts";
import { silence } from "./scenarios/silence.ts";
import { small } from "./scenarios/small.ts";
import { tables } from "./scenarios/tables.ts";

export const scenarios: readonly Scenario[] = [
  cost(2_000, true, ["livenessd", "plain", "bird", "floor", "reference", "frr"]),
  cost(10_000, true, ["livenessd", "bird", "floor", "reference"]),
  silence,
  small,
  garbage,
  adversity,
  scale,
  tables,
];
