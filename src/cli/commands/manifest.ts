import { flag, list, text } from '../options.ts';
import { unsupportedCommand } from '../unsupported-command.ts';

const insecure = { insecure: flag('Allow communication with an insecure registry') };
const what = 'manifest lists are';

export const create = unsupportedCommand(what, {
  usage: 'MANIFEST_LIST MANIFEST [MANIFEST...]',
  summary: 'Create a local manifest list for annotating and pushing to a registry',
  options: { amend: flag('Amend an existing manifest list', { short: 'a' }), ...insecure },
  args: [2, Number.POSITIVE_INFINITY],
});
export const annotate = unsupportedCommand(what, {
  usage: '[OPTIONS] MANIFEST_LIST MANIFEST',
  summary: 'Add additional information to a local image manifest',
  options: {
    arch: text('Set architecture'),
    os: text('Set operating system'),
    'os-features': list('Set operating system feature', { label: 'strings' }),
    'os-version': text('Set operating system version'),
    variant: text('Set architecture variant'),
  },
  args: [2, 2],
});
export const inspect = unsupportedCommand(what, {
  usage: '[OPTIONS] [MANIFEST_LIST] MANIFEST',
  summary: 'Display an image manifest, or manifest list',
  options: {
    ...insecure,
    verbose: flag('Output additional info including layers and platform', { short: 'v' }),
  },
  args: [1, 2],
});
export const push = unsupportedCommand(what, {
  usage: '[OPTIONS] MANIFEST_LIST',
  summary: 'Push a manifest list to a repository',
  options: { ...insecure, purge: flag('Remove the local manifest list after push', { short: 'p' }) },
  args: [1, 1],
});
export const rm = unsupportedCommand(what, {
  usage: 'MANIFEST_LIST [MANIFEST_LIST...]',
  summary: 'Delete one or more manifest lists from local storage',
  options: {},
  args: [1, Number.POSITIVE_INFINITY],
});
