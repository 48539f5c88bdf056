import { readFileSync, statSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import { openCgroups } from '#linux/index.ts';
import type { RuntimeSpec } from '#oci/index.ts';
import { type CheckpointRecord, externalFiles, externalMounts, writeRecord } from './checkpoint-record.ts';
import { statusOf } from './container-process.ts';
import { type ContainerState, directoryOf, readOwnConfig, readState } from './container-state.ts';
import type { Command, Context } from './context.ts';
import { criuDirectories, criuFlags, criuOptions, runCriu } from './criu.ts';
import { destroyContainer } from './delete.ts';

/** By this name criu asks for a network namespace that was there before the container. */
export const networkKey = 'gantry-network';

/** @throws GantryError unsupported for what cannot be made again */
function checkCheckpoint(spec: RuntimeSpec): void {
  if (spec.process?.terminal === true)
    throw new GantryError(
      'unsupported',
      'checkpoint: process.terminal is true; the other side of a terminal is not in the container',
    );
  for (const { type, path } of spec.linux?.namespaces ?? [])
    if (path !== undefined && type !== 'network')
      throw new GantryError('unsupported', `checkpoint: the ${type} namespace ${path} is not the container's own`);
}

function recordOf(spec: RuntimeSpec, { pid, cgroup }: ContainerState): CheckpointRecord {
  const joined = spec.linux?.namespaces?.some(({ type, path }) => type === 'network' && path !== undefined) ?? false;
  const mountinfo = readFileSync(`/proc/${pid}/mountinfo`, 'utf8');
  return {
    mounts: externalMounts(spec, mountinfo),
    files: externalFiles([...new Set([pid, ...openCgroups().at(cgroup).pids()])], mountinfo),
    ...(joined ? { network: statSync(`/proc/${pid}/ns/net`).ino } : {}),
  };
}

function pageServer(given: string): readonly string[] {
  const [address, port, ...more] = given.split(':');
  if (!address || !port || !/^\d+$/.test(port) || more.length > 0)
    throw new GantryError('invalid', `--page-server ${given}: give ADDRESS:PORT`);
  return ['--page-server', '--address', address, '--port', port];
}

function runningState({ root, id }: Context): ContainerState {
  const state = readState(root, id);
  const status = statusOf(root, state);
  if (status === 'running' || status === 'paused') return state;
  throw new GantryError('conflict', `container ${id} is ${status}; only a running one can be checkpointed`, {
    code: 'not-running',
  });
}

/** criu(8), dump; the options are runc's. The container is gone afterwards, unless it is left running. */
export const checkpoint: Command = {
  options: {
    ...criuOptions,
    'parent-path': { kind: 'text' },
    'leave-running': { kind: 'flag' },
    'pre-dump': { kind: 'flag' },
    'page-server': { kind: 'text' },
  },
  words: [1, 1],
  usage:
    'checkpoint [--image-path DIR] [--work-path DIR] [--leave-running] [--pre-dump] [--parent-path DIR] [--tcp-established] [--ext-unix-sk] [--shell-job] [--file-locks] [--manage-cgroups-mode soft|full|strict|ignore] … ID',
  about: 'write a running container to images with criu, and end it',
  async run(context) {
    const { root, id, options } = context;
    const state = runningState(context);
    const spec = readOwnConfig(directoryOf(root, id));
    checkCheckpoint(spec);
    const flags = criuFlags(context);
    const server = options.text('page-server');
    const parent = options.text('parent-path');
    const preDump = options.flag('pre-dump');
    const record = recordOf(spec, state);
    const external = [
      ...record.mounts.map(({ at }) => `mnt[${at}]:${at}`),
      ...record.files.map(({ name }) => name).filter((name) => name.startsWith('file')),
      ...(record.network === undefined ? [] : [`net[${record.network}]:${networkKey}`]),
    ];
    const directories = criuDirectories(context, true);
    runCriu(context, preDump ? 'pre-dump' : 'dump', directories, [
      ...['--tree', String(state.pid), '--root', state.rootfs],
      ...flags,
      ...(preDump || parent !== undefined ? ['--track-mem'] : []),
      ...(parent === undefined ? [] : ['--prev-images-dir', parent]),
      ...(server === undefined ? [] : pageServer(server)),
      ...(options.flag('leave-running') && !preDump ? ['--leave-running'] : []),
      ...external.flatMap((name) => ['--external', name]),
    ]);
    if (preDump) return 0;
    writeRecord(directories.images, record);
    if (!options.flag('leave-running')) await destroyContainer(root, state);
    return 0;
  },
};
