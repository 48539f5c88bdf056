const padding = 3;

/** Width in characters, not in UTF-16 units. */
const widthOf = (text: string) => [...text].length;

/**
 * Lays out lines of tab-separated cells in columns, as Docker's tables are: each column as wide as its widest cell and
 * three spaces, at least `minWidth`; the last cell of a line as it is.
 */
export function layOutTable(lines: readonly string[], { minWidth = 10 } = {}): string {
  const rows = lines.map((line) => line.split('\t'));
  const widths: number[] = [];
  for (const row of rows)
    for (const [at, cell] of row.slice(0, -1).entries())
      widths[at] = Math.max(widths[at] ?? minWidth, widthOf(cell) + padding);
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === row.length - 1 ? cell : cell + ' '.repeat((widths[at] ?? 0) - widthOf(cell))))
        .join(''),
    )
    .map((line) => `${line}\n`)
    .join('');
}
