/** Offsets in a text to lines and columns, both from 1 on. Looks at the text only once it is asked. */
export class Lines {
  private starts: number[] | undefined;

  constructor(private readonly text: string) {}

  at(offset: number): { line: number; column: number } {
    const starts = this.starts ??= startsOf(this.text);
    let [low, high] = [0, starts.length]; // the line's start is the last one at or before the offset
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - starts[low] + 1 };
  }
}

function startsOf(text: string): number[] {
  const starts = [0];
  for (let offset = 0; offset < text.length; offset += 1) {
    const code = text.charCodeAt(offset);
    const ends = code === 0x0a || (code === 0x0d && text.charCodeAt(offset + 1) !== 0x0a);
    if (ends) starts.push(offset + 1);
  }
  return starts;
}
