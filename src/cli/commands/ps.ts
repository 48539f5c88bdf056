import type { ContainerSummary } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { filterOption, filtersOf } from '../filters.ts';
import { formatRows, type Row } from '../format.ts';
import { flag, integer, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { portList } from '../port-list.ts';
import { ago, goTime, humanSize } from '../units.ts';

const headers = {
  ID: 'CONTAINER ID',
  Image: 'IMAGE',
  Command: 'COMMAND',
  CreatedAt: 'CREATED AT',
  RunningFor: 'CREATED',
  Ports: 'PORTS',
  State: 'STATE',
  Status: 'STATUS',
  Size: 'SIZE',
  Names: 'NAMES',
  Labels: 'LABELS',
  Mounts: 'MOUNTS',
  LocalVolumes: 'LOCAL VOLUMES',
  Networks: 'NETWORKS',
  Platform: 'PLATFORM',
};

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'List containers',
  aliases: ['container ls', 'container list', 'container ps', 'ps'],
  options: {
    all: flag('Show all containers (default shows just running)', { short: 'a' }),
    filter: filterOption(),
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    last: integer('Show n last created containers (includes all states)', { short: 'n', shownDefault: '-1' }),
    latest: flag('Show the latest created container (includes all states)', { short: 'l' }),
    'no-trunc': flag("Don't truncate output"),
    quiet: flag('Only display container IDs', { short: 'q' }),
    size: flag('Display total file sizes', { short: 's' }),
  },
  args: [0, 0],
  async run({ engine, config }, { values }) {
    const format = values.format || (values.quiet ? '' : (config.psFormat ?? ''));
    const limit = values.latest && values.last === undefined ? 1 : (values.last ?? -1);
    const containers = await engine.json<readonly ContainerSummary[]>('GET', '/containers/json', {
      query: {
        all: values.all || undefined,
        limit: limit > 0 ? limit : undefined,
        size: values.size || /\.Size|json \./.test(format) || undefined,
        filters: filtersOf(values.filter),
      },
    });
    const short = !values['no-trunc'];
    if (values.quiet && format === '') {
      writeOut(containers.map(({ Id }) => `${short ? Id.slice(0, 12) : Id}\n`).join(''));
      return 0;
    }
    const columns = [
      'ID',
      'Image',
      'Command',
      'RunningFor',
      'Status',
      'Ports',
      'Names',
      ...(values.size ? ['Size'] : []),
    ];
    const rows = containers.map((container) => rowOf(container, short));
    writeOut(await formatRows(format, rows, { columns, headers }));
    return 0;
  },
});

/** Shortened to `length` characters, the last of them an ellipsis. */
function ellipsis(words: string, length: number): string {
  const letters = [...words];
  return letters.length <= length ? words : `${letters.slice(0, length - 1).join('')}…`;
}

function rowOf(container: ContainerSummary, short: boolean): Row {
  const {
    Id,
    Image,
    ImageID,
    Command,
    Created,
    Names,
    Labels,
    Mounts = [],
    NetworkSettings,
    SizeRw = 0,
    SizeRootFs = 0,
  } = container;
  const names = Names.map((name) => name.replace(/^\//, '')).filter((name) => (short ? !name.includes('/') : true));
  return {
    ID: short ? Id.slice(0, 12) : Id,
    Image: imageShown(Image, ImageID, short),
    Command: JSON.stringify(short ? ellipsis(Command, 20) : Command),
    get CreatedAt() {
      return goTime(Created); // costs more than all else here, and tables seldom ask
    },
    RunningFor: ago(Created),
    Ports: portList(container.Ports),
    State: container.State,
    Status: container.Status,
    Size: SizeRootFs > 0 ? `${humanSize(SizeRw, 3)} (virtual ${humanSize(SizeRootFs, 3)})` : humanSize(SizeRw, 3),
    Names: names.join(','),
    Labels: Object.entries(Labels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .toSorted()
      .join(','),
    Mounts: Mounts.map((mount) => mount.Name || mount.Source)
      .map((name) => (short ? ellipsis(name, 15) : name))
      .join(','),
    LocalVolumes: String(Mounts.filter(({ Type }) => Type === 'volume').length),
    Networks: Object.keys(NetworkSettings?.Networks ?? {}).join(','),
    Platform: null,
    Label: (key: string) => Labels?.[key] ?? '',
  };
}

function imageShown(image: string, id: string, short: boolean): string {
  if (image === '') return '<no image>';
  if (!short) return image;
  // An image without a name is shown by its id.
  if (image === id || image === id.replace('sha256:', '')) return id.replace('sha256:', '').slice(0, 12);
  return image.replace(/@sha256:[0-9a-f]{64}$/, '');
}
