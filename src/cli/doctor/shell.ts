/** Remedies are pasted into a shell: what comes from outside must stay one word of it. */

/** The text as one word of a POSIX shell. */
export function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A shell command that writes a file, in a folder that may not exist yet. */
export function writeFile(path: string, lines: readonly string[]): string {
  const folder = path.slice(0, path.lastIndexOf("/"));
  const words = lines.map(quote).join(" ");
  return `mkdir -p ${quote(folder)} && printf '%s\\n' ${words} > ${quote(path)}`;
}

/** A setting of an interface as sysctl(8) names it: dots of the name become slashes. */
export function interfaceSetting(dev: string, name: string): string {
  return quote(`net.ipv4.conf.${dev.replaceAll(".", "/")}.${name}`);
}
