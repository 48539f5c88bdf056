import { defineCommand } from '../command.ts';
import { filterOption, filtersOf } from '../filters.ts';
import { formatRows } from '../format.ts';
import { flag, integer, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { authHeader, credentialsFor } from '../registry-credentials.ts';

/** One row of GET /images/search. */
interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
  readonly is_automated?: boolean;
}

const headers = {
  Name: 'NAME',
  Description: 'DESCRIPTION',
  StarCount: 'STARS',
  IsOfficial: 'OFFICIAL',
  IsAutomated: 'AUTOMATED',
};

export const command = defineCommand({
  usage: '[OPTIONS] TERM',
  summary: 'Search a registry for images',
  options: {
    filter: filterOption(),
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    limit: integer('Max number of search results'),
    'no-trunc': flag("Don't truncate output"),
  },
  args: [1, 1],
  async run({ engine, configDirectory }, { values, args: [term = ''] }) {
    // A first part that can be a host names the registry, as in an image's name.
    const [first = '', ...rest] = term.split('/');
    const registry = rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : 'docker.io';
    const auth = await credentialsFor(configDirectory, registry);
    const results = await engine.json<readonly SearchResult[] | null>('GET', '/images/search', {
      query: { term, limit: values.limit, filters: filtersOf(values.filter) },
      headers: { 'X-Registry-Auth': authHeader(auth ?? {}) },
    });
    const rows = (results ?? [])
      .toSorted((a, b) => b.star_count - a.star_count)
      .map((result) => ({
        Name: result.name,
        Description: described(result.description, values['no-trunc']),
        StarCount: String(result.star_count),
        IsOfficial: result.is_official ? '[OK]' : '',
        IsAutomated: result.is_automated ? '[OK]' : '',
      }));
    const columns = ['Name', 'Description', 'StarCount', 'IsOfficial'];
    writeOut(await formatRows(values.format, rows, { columns, headers }));
    return 0;
  },
});

function described(text: string, whole: boolean): string {
  const letters = [...text.replaceAll(/[\r\n]/g, ' ')];
  return whole || letters.length <= 45 ? letters.join('') : `${letters.slice(0, 44).join('')}…`;
}
