import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { GantryError } from '#errors/index.ts';
import type { OptionRules } from './arguments.ts';
import type { Context } from './context.ts';

/** Options that checkpoint and restore share, as runc spells them; those that criu has by the same name are passed on. */
export const criuOptions: OptionRules = {
  'image-path': { kind: 'text' },
  'work-path': { kind: 'text' },
  'tcp-established': { kind: 'flag' },
  'tcp-skip-in-flight': { kind: 'flag' },
  'ext-unix-sk': { kind: 'flag' },
  'shell-job': { kind: 'flag' },
  'file-locks': { kind: 'flag' },
  'link-remap': { kind: 'flag' },
  'auto-dedup': { kind: 'flag' },
  'manage-cgroups-mode': { kind: 'text' },
  'empty-ns': { kind: 'list' },
};

const passedOn = [
  ...['tcp-established', 'tcp-skip-in-flight', 'ext-unix-sk', 'shell-job', 'file-locks', 'link-remap', 'auto-dedup'],
] as const;
const cgroupModes = ['soft', 'full', 'strict', 'ignore'];

/** Where images and logs are. @throws GantryError not-found */
export function criuDirectories(
  { options }: Context,
  make: boolean,
): { readonly images: string; readonly work: string } {
  const images = resolve(options.text('image-path') ?? 'checkpoint');
  const work = resolve(options.text('work-path') ?? images);
  if (make) for (const directory of [images, work]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const directory of [images, work])
    if (!existsSync(directory))
      throw new GantryError('not-found', `there is no directory ${directory}; give --image-path of a checkpoint`);
  return { images, work };
}

/** Those of criu's options that were given. @throws GantryError invalid */
export function criuFlags({ options }: Context): readonly string[] {
  const mode = options.text('manage-cgroups-mode') ?? 'soft';
  if (!cgroupModes.includes(mode))
    throw new GantryError('invalid', `--manage-cgroups-mode ${mode}: use one of ${cgroupModes.join(', ')}`);
  const empty = options.list('empty-ns').map((name) => {
    if (name !== 'network') throw new GantryError('unsupported', `--empty-ns ${name}: criu knows network alone`);
    return ['--empty-ns', 'net'];
  });
  return [
    `--manage-cgroups=${mode}`,
    ...passedOn.filter((name) => options.flag(name)).map((name) => `--${name}`),
    ...empty.flat(),
  ];
}

/** What criu said went wrong, in its log or, before there is one, on stderr. */
function complaints(log: string, stderr: string): string {
  const text = existsSync(log) ? readFileSync(log, 'utf8') : '';
  // It cannot raise its own limits without CAP_SYS_RESOURCE, and goes on.
  const errors = `${stderr}\n${text}`
    .split('\n')
    .filter((line) => line.includes('Error (') && !line.includes('rlimit:'));
  return errors
    .slice(0, 3)
    .map((line) => line.replace(/^.*Error \([^)]*\): /, ''))
    .join('; ');
}

/**
 * Runs criu to its end.
 * @param fds more of our descriptors that it gets, from the third on
 * @throws GantryError unavailable where it is not installed, internal code `criu-failed` with what it said
 */
export function runCriu(
  { criu }: Context,
  command: 'dump' | 'pre-dump' | 'restore',
  { images, work }: { readonly images: string; readonly work: string },
  words: readonly string[],
  fds: readonly number[] = [],
): void {
  const log = `${command}.log`;
  const all = [command, '--images-dir', images, '--work-dir', work, '--log-file', log, '-v4', ...words];
  const inherits = command === 'restore';
  const { error, status, signal, stderr } = spawnSync(criu, all, {
    encoding: 'utf8',
    stdio: inherits ? ['inherit', 'inherit', 'inherit', ...fds] : ['ignore', 'ignore', 'pipe'],
  });
  if (error !== undefined)
    throw new GantryError('unavailable', `cannot run ${criu}: ${error.message}; install criu, or name it with --criu`, {
      cause: error,
    });
  if (status === 0) return;
  const said = complaints(`${work}/${log}`, stderr ?? '');
  throw new GantryError(
    'internal',
    `criu ${command} ended with ${signal ?? status}: ${said || 'it did not say why'}; see ${work}/${log}, and whether "criu check" finds this kernel good`,
    { code: 'criu-failed' },
  );
}
