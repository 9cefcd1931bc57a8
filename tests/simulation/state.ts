import type { StateStore, StateText } from "../../src/manager/state_keeper.ts";

/** A machine's state file: it outlives the processes, and can be lost or damaged. */
export class MachineState implements StateStore {
  readonly name = "state";
  readonly here = { boot: "only", netns: "1" };
  /** Texts committed. */
  commits = 0;
  #text: string | null = null;

  read(): string | null {
    return this.#text;
  }

  begin(): StateText {
    const parts: string[] = [];
    return {
      write: (part) => void parts.push(part),
      commit: () => {
        this.commits++;
        this.#text = parts.join("");
      },
      discard: () => {},
    };
  }

  lose(): void {
    this.#text = null;
  }

  /** A part of it is gone. */
  damage(): void {
    this.#text = this.#text?.slice(0, this.#text.length / 2) ?? null;
  }

  /** What a process that starts now can read: table and destination of each route. */
  routes(): ReadonlySet<string> {
    try {
      const { routes } = JSON.parse(this.#text ?? '{"routes": []}');
      return new Set(
        routes.map(({ table, dst }: { table: number; dst: string }) => `${table} ${dst}`),
      );
    } catch {
      return new Set();
    }
  }
}
