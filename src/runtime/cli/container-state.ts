import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import { exactJson, parseExactJson, type RuntimeSpec } from '#oci/index.ts';
import type { RdtGroups } from './intel-rdt.ts';

/** What is kept of a container, as `<root>/<id>/state.json`. `pid` is 0 until its process is there. */
export interface ContainerState {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  /** When the process began, in clock ticks since boot, so that a reused pid is not taken for it. */
  readonly startTime: string;
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339 */
  readonly created: string;
  /** The user who made it. */
  readonly owner: number;
  /** Its cgroup's directories; every command runs in another cgroup, so a path would mean another one to each. */
  readonly cgroup: readonly string[];
  /** Its groups in a resctrl file system, where it was asked for. */
  readonly rdt?: RdtGroups;
  readonly annotations: Readonly<Record<string, string>>;
}

/** runtime-spec: runtime.md#state; `paused` is runc's addition. */
export type Status = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

const hasCode = (error: unknown, code: string) => error instanceof Error && 'code' in error && error.code === code;

function checkId(id: string): string {
  if (!/^[\w+.-]{1,255}$/.test(id) || id === '.' || id === '..')
    throw new GantryError('invalid', `container id ${JSON.stringify(id)}: use letters, digits and _ + - . only`);
  return id;
}

/**
 * Writes a file so that a reader sees all of it or what was there before. Nothing waits for the disk: a crash of the host
 * ends the container too.
 */
export function writeWhole(path: string, content: string, mode = 0o600): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, content, { mode });
  renameSync(temporary, path);
}

/** The directories whose tasks files a process of the container joins. */
export const joinedDirectories = ({ cgroup, rdt }: Pick<ContainerState, 'cgroup' | 'rdt'>): readonly string[] => [
  ...cgroup,
  ...(rdt?.join ?? []),
];

/** Where one container's state is kept. */
export const directoryOf = (root: string, id: string): string => `${root}/${checkId(id)}`;
export const fifoOf = (directory: string): string => `${directory}/exec.fifo`;
const configOf = (directory: string): string => `${directory}/config.json`;
export const planOf = (directory: string): string => `${directory}/plan`;
const stateFileOf = (directory: string): string => `${directory}/state.json`;
/** All that is kept of a container whose process was started, in an order in which it can be removed. */
export const filesOf = (directory: string): readonly string[] => [
  planOf(directory),
  configOf(directory),
  stateFileOf(directory),
  directory,
];

/** Takes an id. @throws GantryError conflict where it is taken */
export function makeStateDirectory(root: string, id: string): string {
  const directory = directoryOf(root, id);
  mkdirSync(root, { recursive: true, mode: 0o711 });
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    throw new GantryError('conflict', `container ${id} exists already; delete it, or choose another id`, {
      code: 'id-in-use',
      cause: error,
    });
  }
  return directory;
}

export const writeState = (directory: string, state: ContainerState): void =>
  writeWhole(stateFileOf(directory), JSON.stringify(state));

/** Keeps the configuration as it was at create: the bundle's may change. */
export const writeConfig = (directory: string, spec: RuntimeSpec): void =>
  writeWhole(configOf(directory), exactJson(spec));

export const readOwnConfig = (directory: string): RuntimeSpec =>
  parseExactJson(readFileSync(configOf(directory), 'utf8')) as RuntimeSpec;

/** @throws GantryError not-found */
export function readState(root: string, id: string): ContainerState {
  const directory = directoryOf(root, id);
  let text: string;
  try {
    text = readFileSync(stateFileOf(directory), 'utf8');
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    throw new GantryError('not-found', `container ${id} does not exist in ${root}`, {
      code: 'no-such-container',
      cause: error,
    });
  }
  return JSON.parse(text) as ContainerState;
}

export function listStates(root: string): readonly ContainerState[] {
  let names: readonly string[];
  try {
    names = readdirSync(root);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
  return names.flatMap((id) => {
    try {
      return [readState(root, id)];
    } catch (error) {
      // One that is being made or removed right now.
      if (error instanceof GantryError && error.kind === 'not-found') return [];
      throw error;
    }
  });
}

export const removeStateDirectory = (root: string, id: string): void =>
  rmSync(directoryOf(root, id), { recursive: true, force: true });
