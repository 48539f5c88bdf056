import { flag, text } from '../options.ts';
import { unsupportedCommand } from '../unsupported-command.ts';

const directory = { 'checkpoint-dir': text('Use a custom checkpoint storage directory') };

export const create = unsupportedCommand('checkpoints are', {
  usage: '[OPTIONS] CONTAINER CHECKPOINT',
  summary: 'Create a checkpoint from a running container',
  options: { ...directory, 'leave-running': flag('Leave the container running after checkpoint') },
  args: [2, 2],
});
export const ls = unsupportedCommand('checkpoints are', {
  usage: '[OPTIONS] CONTAINER',
  summary: 'List checkpoints for a container',
  options: directory,
  args: [1, 1],
});
export const rm = unsupportedCommand('checkpoints are', {
  usage: '[OPTIONS] CONTAINER CHECKPOINT',
  summary: 'Remove a checkpoint',
  options: directory,
  args: [2, 2],
});
