import { GantryError, isGantryError } from '#errors/index.ts';
import { layOutTable } from './table.ts';

/** One row's fields by their template names. A function takes arguments: `{{.Label "name"}}`. */
export type Row = Readonly<Record<string, unknown>>;

export interface TableShape {
  /** The template name of the command, as errors name it. */
  readonly name?: string;
  /** Fields of the plain table, in order. */
  readonly columns: readonly string[];
  /** The header of every field that a table may show. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The rows as a table, or as `--format` asks: `table`, `table TEMPLATE`, `json` (one object a line) or a template.
 * @throws GantryError invalid (code `template`)
 */
export async function formatRows(format: string, rows: readonly Row[], shape: TableShape): Promise<string> {
  if (format === '' || format === 'table')
    return layOutTable(
      [
        shape.columns.map((column) => shape.headers[column] ?? column),
        ...rows.map((row) => shape.columns.map((c) => String(row[c] ?? ''))),
      ].map((cells) => cells.join('\t')),
    );
  if (format === 'json') return rows.map((row) => `${jsonOf(row)}\n`).join('');
  const { parseTemplate } = await import('./go-template.ts');
  const asTable = /^table(?:\s|\\t|$)/.test(format);
  const template = (asTable ? format.slice('table'.length).trim() : format)
    .replaceAll('\\t', '\t')
    .replaceAll('\\n', '\n');
  const render = named('parse', () => parseTemplate(template, { name: shape.name ?? '' }));
  const lines = rows.map((row) => named('execute', () => render(sorted(row))));
  if (!asTable) return lines.map((line) => `${line}\n`).join('');
  const header = named('execute', () => render({ ...shape.headers, Label: (name: string) => name.toUpperCase() }));
  return layOutTable([header, ...lines].flatMap((line) => line.split('\n')));
}

/** One value (version, info) as `--format` asks: `json` or a template. */
export async function formatValue(format: string, data: unknown, name: string): Promise<string> {
  if (format === 'json') return `${JSON.stringify(data)}\n`;
  const { parseTemplate } = await import('./go-template.ts');
  return `${parseTemplate(format, { name })(data)}\n`;
}

const sorted = (row: Row): Row => Object.fromEntries(Object.entries(row).toSorted(([a], [b]) => (a < b ? -1 : 1)));

/** Go's encoder sorts a map's keys and escapes what HTML would read. */
const jsonOf = (row: Row): string =>
  JSON.stringify(sorted(row)).replace(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);

function named<T>(stage: 'parse' | 'execute', step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (isGantryError(error) && error.code === 'template')
      throw new GantryError('invalid', `failed to ${stage} template: ${error.message}`, {
        code: 'template',
        cause: error,
      });
    throw error;
  }
}
