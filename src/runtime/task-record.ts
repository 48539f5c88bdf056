import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { GantryError } from '#errors/index.ts';
import type { IdMapping, RuntimeSpec } from '#oci/index.ts';
import type { Subject } from './hook-steps.ts';
import type { SeccompFilter } from './seccomp-filter.ts';

/** What an engine that comes later must know of a task: `<directory>/task.json`, there (tmp+rename) before anything is made. */
export interface TaskRecord {
  readonly id: string;
  readonly cgroupsPath: string;
  /** CLONE_NEW* of the namespaces that an exec joins. */
  readonly namespaces: number;
  readonly seccomp: SeccompFilter | undefined;
  /** Of the user namespace that was made for it. */
  readonly uidMappings?: readonly IdMapping[];
  /** Hooks that the engine runs itself, and what they are told. */
  readonly hooked?: Pick<RuntimeSpec, 'ociVersion' | 'hooks' | 'annotations'> & { readonly subject: Subject };
}

const file = (directory: string) => `${directory}/task.json`;

/** Whole or not at all: an engine that comes after one that died in the middle starts all the same. */
export function writeTaskRecord(directory: string, record: TaskRecord): void {
  const { seccomp } = record;
  const temporary = `${file(directory)}.tmp`;
  writeFileSync(
    temporary,
    JSON.stringify({
      ...record,
      seccomp: seccomp && { ...seccomp, program: seccomp.program.toString('base64') },
    }),
    { mode: 0o600 },
  );
  renameSync(temporary, file(directory));
}

/** @returns undefined where there is none, or the host went down before it was on the disk @throws GantryError corrupt */
export function readTaskRecord(directory: string): TaskRecord | undefined {
  let text: string;
  try {
    text = readFileSync(file(directory), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  if (text === '') return undefined;
  try {
    const { seccomp, ...record } = JSON.parse(text) as Omit<TaskRecord, 'seccomp'> & {
      readonly seccomp?: Omit<SeccompFilter, 'program'> & { readonly program: string };
    };
    return {
      ...record,
      seccomp: seccomp && { ...seccomp, program: Buffer.from(seccomp.program, 'base64') },
    };
  } catch (cause) {
    throw new GantryError('corrupt', `${file(directory)} is no task record`, { cause });
  }
}

/** Removes a task's files but for `exit.json`: whoever crashes next may still ask how it ended. */
export function removeTaskFiles(directory: string): void {
  for (const name of ['task.json', 'task.json.tmp', 'shim.sock', 'shim.log', 'exit.json.tmp'])
    rmSync(`${directory}/${name}`, { force: true });
}
