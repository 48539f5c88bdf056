import type { ImageSummary } from '#client/index.ts';
import { layOutTable } from './table.ts';
import { humanSize } from './units.ts';

/**
 * `image ls --tree`: each image once with all its names below it, what it takes, how much of that it shares with others
 * and whether containers use it.
 */
export function imageTree(images: readonly ImageSummary[], shownId: (id: string) => string): string {
  const lines = images.flatMap((image) => {
    const names = (image.RepoTags ?? []).filter((tag) => tag !== '<none>:<none>').toSorted();
    const cells = [
      shownId(image.Id),
      humanSize(image.Size, 3),
      image.SharedSize < 0 ? '' : humanSize(image.SharedSize, 3),
      image.Containers > 0 ? 'U' : '',
    ].join('\t');
    if (names.length <= 1) return [`${names[0] ?? '<untagged>'}\t${cells}`];
    return [
      `${names[0]}\t${cells}`,
      ...names.slice(1).map((name, at) => `${at === names.length - 2 ? '└─' : '├─'} ${name}\t\t\t\t`),
    ];
  });
  return layOutTable(['IMAGE\tID\tDISK USAGE\tSHARED\tUSED', ...lines]).replaceAll(/ +$/gm, '');
}
