import type { ImageSummary } from '#client/index.ts';
import { defineCommand } from '../command.ts';
import { Failure } from '../failure.ts';
import { filterOption, filtersOf } from '../filters.ts';
import { formatRows, type Row } from '../format.ts';
import { flag, text } from '../options.ts';
import { writeOut } from '../output.ts';
import { ago, goTime, humanSize } from '../units.ts';

const headers = {
  Repository: 'REPOSITORY',
  Tag: 'TAG',
  Digest: 'DIGEST',
  ID: 'IMAGE ID',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  Size: 'SIZE',
  Containers: 'CONTAINERS',
  SharedSize: 'SHARED SIZE',
  UniqueSize: 'UNIQUE SIZE',
  VirtualSize: 'VIRTUAL SIZE',
};

export const command = defineCommand({
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  summary: 'List images',
  aliases: ['image ls', 'image list', 'images'],
  options: {
    all: flag('Show all images (default hides intermediate images)', { short: 'a' }),
    digests: flag('Show digests'),
    filter: filterOption(),
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    'no-trunc': flag("Don't truncate output"),
    quiet: flag('Only show image IDs', { short: 'q' }),
    tree: flag('List images as a tree: what holds which name, and what each takes'),
  },
  args: [0, 1],
  async run({ engine, config }, { values, args: [pattern] }) {
    const format = values.format || (values.quiet ? '' : (config.imagesFormat ?? ''));
    if (pattern?.startsWith('-')) throw new Failure(`invalid reference format: ${pattern}`, 1);
    if (values.tree && (values.quiet || values.format !== '' || values['no-trunc'] || values.digests))
      throw new Failure('--tree cannot be used with --quiet, --format, --no-trunc or --digests', 1);
    const images = await engine.json<readonly ImageSummary[]>('GET', '/images/json', {
      query: {
        all: values.all || undefined,
        'shared-size': values.tree || /\.(?:Shared|Unique)Size/.test(format) || undefined,
        filters: filtersOf([...values.filter, ...(pattern === undefined ? [] : [['reference', pattern] as const])]),
      },
    });
    const short = !values['no-trunc'];
    const shownId = (id: string) => (short ? id.replace('sha256:', '').slice(0, 12) : id);
    if (values.quiet && format === '') {
      writeOut(images.flatMap((image) => rowsOf(image, values.digests, shownId).map(({ ID }) => `${ID}\n`)).join(''));
      return 0;
    }
    if (values.tree) {
      const { imageTree } = await import('../image-tree.ts');
      writeOut(imageTree(images, shownId));
      return 0;
    }
    const columns = ['Repository', 'Tag', ...(values.digests ? ['Digest'] : []), 'ID', 'CreatedSince', 'Size'];
    const digests = values.digests || format.includes('.Digest');
    const rows = images.flatMap((image) => rowsOf(image, digests, shownId));
    writeOut(await formatRows(format, rows, { columns, headers }));
    return 0;
  },
});

/** A row for each tag; an image without tags has one of its own. */
function rowsOf(image: ImageSummary, digests: boolean, shownId: (id: string) => string): readonly Row[] {
  const cut = (name: string, mark: string): readonly [string, string] => {
    const at = name.lastIndexOf(mark);
    return [name.slice(0, at), name.slice(at + 1)];
  };
  const byRepository = new Map((image.RepoDigests ?? []).map((name) => cut(name, '@')));
  const tags = (image.RepoTags ?? []).filter((tag) => tag !== '<none>:<none>').map((tag) => cut(tag, ':'));
  const row = (repository: string, tag: string, digest: string): Row => ({
    Repository: repository,
    Tag: tag,
    Digest: digest,
    ID: shownId(image.Id),
    CreatedSince: ago(image.Created),
    get CreatedAt() {
      return goTime(image.Created); // costs more than all else here, and tables seldom ask
    },
    Size: humanSize(image.Size, 3),
    VirtualSize: humanSize(image.Size),
    Containers: image.Containers < 0 ? 'N/A' : String(image.Containers),
    SharedSize: image.SharedSize < 0 ? 'N/A' : humanSize(image.SharedSize),
    UniqueSize: image.SharedSize < 0 ? 'N/A' : humanSize(image.Size - image.SharedSize),
  });
  if (tags.length > 0)
    return tags.map(([repository, tag]) => row(repository, tag, (digests && byRepository.get(repository)) || '<none>'));
  const names = [...byRepository];
  if (names.length === 0) return [row('<none>', '<none>', '<none>')];
  return names.map(([repository, digest]) => row(repository, '<none>', digests ? digest : '<none>'));
}
