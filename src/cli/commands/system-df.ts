import type { ImageSummary } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { formatRows, type Row } from '../format.ts';
import { flag, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { layOutTable } from '../table.ts';
import { ago, humanSize } from '../units.ts';

interface DiskUsage {
  readonly LayersSize: number;
  readonly Images: readonly ImageSummary[];
  readonly Containers: readonly {
    readonly Id: string;
    readonly Names: readonly string[];
    readonly Image: string;
    readonly Command: string;
    readonly Created: number;
    readonly SizeRw: number;
    readonly State: string;
    readonly Status: string;
    readonly Mounts: readonly { readonly Type: string }[];
  }[];
  readonly Volumes: readonly {
    readonly Name: string;
    readonly UsageData: { readonly Size: number; readonly RefCount: number };
  }[];
  readonly BuildCache: readonly {
    readonly ID: string;
    readonly Type: string;
    readonly Size: number;
    readonly InUse: boolean;
  }[];
  readonly Gantry?: { readonly EngineSize: number };
}

const headers = {
  Type: 'TYPE',
  TotalCount: 'TOTAL',
  Active: 'ACTIVE',
  Size: 'SIZE',
  Reclaimable: 'RECLAIMABLE',
};
const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);
const lives = (state: string) => /running|paused|restarting/.test(state);

export const command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Show what the engine takes on the disk',
  aliases: ['system df'],
  options: {
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    verbose: flag('Show detailed information on space usage', { short: 'v' }),
  },
  args: [0, 0],
  async run({ engine }, { values }) {
    const usage = await engine.json<DiskUsage>('GET', '/system/df');
    writeOut(
      values.verbose && values.format === ''
        ? detailsOf(usage)
        : await formatRows(values.format, rowsOf(usage), { columns: Object.keys(headers), headers }),
    );
    return 0;
  },
});

function rowsOf({ LayersSize, Images, Containers, Volumes, BuildCache }: DiskUsage): readonly Row[] {
  const row = (
    type: string,
    count: number,
    active: number,
    size: number,
    reclaimable: number,
    share: boolean,
  ): Row => ({
    Type: type,
    TotalCount: String(count),
    Active: String(active),
    Size: humanSize(size),
    Reclaimable:
      share && size > 0
        ? `${humanSize(reclaimable)} (${Math.floor((reclaimable * 100) / size)}%)`
        : humanSize(reclaimable),
  });
  const used = Images.filter((image) => image.Containers > 0);
  const usedBytes = sum(used.map((image) => image.Size - image.SharedSize));
  const running = Containers.filter(({ State }) => lives(State));
  const idleVolumes = Volumes.filter(({ UsageData }) => UsageData.RefCount === 0);
  const rw = sum(Containers.map(({ SizeRw }) => SizeRw));
  const cache = sum(BuildCache.map(({ Size }) => Size));
  return [
    row('Images', Images.length, used.length, LayersSize, LayersSize - usedBytes, true),
    row('Containers', Containers.length, running.length, rw, rw - sum(running.map(({ SizeRw }) => SizeRw)), true),
    row(
      'Local Volumes',
      Volumes.length,
      Volumes.length - idleVolumes.length,
      sum(Volumes.map(({ UsageData }) => UsageData.Size)),
      sum(idleVolumes.map(({ UsageData }) => UsageData.Size)),
      true,
    ),
    row('Build Cache', BuildCache.length, BuildCache.filter(({ InUse }) => InUse).length, cache, cache, false),
  ];
}

function detailsOf({ Images, Containers, Volumes, BuildCache, Gantry }: DiskUsage): string {
  const short = (id: string) => id.replace('sha256:', '').slice(0, 12);
  const images = Images.flatMap((image) =>
    (image.RepoTags?.length ? image.RepoTags : ['<none>:<none>']).map((tag) => {
      const at = tag.lastIndexOf(':');
      const sizes = [image.Size, image.SharedSize, image.Size - image.SharedSize].map((size) => humanSize(size, 3));
      return [tag.slice(0, at), tag.slice(at + 1), short(image.Id), ago(image.Created), ...sizes, image.Containers];
    }),
  );
  const containers = Containers.map((c) => [
    ...[short(c.Id), c.Image, `"${c.Command.slice(0, 20)}"`, c.Mounts.filter(({ Type }) => Type === 'volume').length],
    ...[humanSize(c.SizeRw, 3), ago(c.Created), c.Status, c.Names.map((name) => name.slice(1)).join(',')],
  ]);
  const volumes = Volumes.map(({ Name, UsageData }) => [Name, UsageData.RefCount, humanSize(UsageData.Size, 4)]);
  const cache = BuildCache.map(({ ID, Type, Size, InUse }) => [short(ID), Type, humanSize(Size, 3), InUse]);
  const table = (title: string, head: string, rows: readonly (readonly unknown[])[]) =>
    `${title}:\n\n${layOutTable([head.replaceAll('|', '\t'), ...rows.map((cells) => cells.join('\t'))])}`;
  const imageHead = 'REPOSITORY|TAG|IMAGE ID|CREATED|SIZE|SHARED SIZE|UNIQUE SIZE|CONTAINERS';
  const containerHead = 'CONTAINER ID|IMAGE|COMMAND|LOCAL VOLUMES|SIZE|CREATED|STATUS|NAMES';
  return [
    table('Images space usage', imageHead, images),
    table('Containers space usage', containerHead, containers),
    table('Local Volumes space usage', 'VOLUME NAME|LINKS|SIZE', volumes),
    table(
      `Build cache usage: ${humanSize(sum(BuildCache.map(({ Size }) => Size)))}`,
      'CACHE ID|CACHE TYPE|SIZE|IN USE',
      cache,
    ),
    `Database and directories of the engine: ${humanSize(Gantry?.EngineSize ?? 0)}\n`,
  ].join('\n');
}
