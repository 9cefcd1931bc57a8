import type { Facts } from "./facts.ts";
import { type Finding, fine, undetermined, warning } from "./finding.ts";

const FOLDER = "/sys/devices/system/clocksource/clocksource0";
/** Each reading asks a chip over a slow bus, or counts the timer's interrupts. */
const SLOW: ReadonlySet<string> = new Set(["hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"]);
/** Fast ones to go over to, best first. */
const FAST = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

/** What the kernel tells the time by. */
export function checkClockSource({ host }: Facts): Finding[] {
  const current = host.readFile(`${FOLDER}/current_clocksource`)?.trim();
  if (current === undefined || current === "") {
    const unknown = {
      ok: false,
      reason: "The kernel does not show it here.",
      remedy: null,
    } as const;
    return [undetermined("clock_source", "The clock source", unknown)];
  }
  if (!SLOW.has(current)) return [fine("clock_source", `The clock source is ${current}`)];
  const available = host.readFile(`${FOLDER}/available_clocksource`)?.trim().split(/\s+/) ?? [];
  const better = FAST.find((name) => available.includes(name));
  const none = better === undefined
    ? " This kernel offers no better one: its log says why it distrusts the processor's (dmesg | grep -i tsc)."
    : "";
  return [warning(
    "clock_source",
    `The clock source is ${current}, a slow one`,
    `Every look at the clock costs a microsecond or more, with many sessions much of a processor.${none}`,
    better === undefined ? null : `echo ${better} > ${FOLDER}/current_clocksource`,
  )];
}
