/** Names and values as prom-client takes them. */
export type LabelValues = Readonly<Record<string, string | number>>;

/**
 * Labels that are kept from scrape to scrape. prom-client formats an object of shared labels only once,
 * so the same labels must be the same object: {@linkcode with} finds what it made before.
 */
export class Labels {
  #more: Map<string, Map<string | number, Labels>> | null = null;

  constructor(readonly values: LabelValues = {}) {}

  /** These labels and one more, after them. Kept as long as these are: the values must be few. */
  with(name: string, value: string | number): Labels {
    const named = this.#named(name);
    let labels = named.get(value);
    if (labels === undefined) {
      labels = new Labels({ ...this.values, [name]: value });
      named.set(value, labels);
    }
    return labels;
  }

  #named(name: string): Map<string | number, Labels> {
    this.#more ??= new Map();
    let named = this.#more.get(name);
    if (named === undefined) {
      named = new Map();
      this.#more.set(name, named);
    }
    return named;
  }
}

export const NO_LABELS: Labels = new Labels();
