import { readFileSync } from 'node:fs';
import { statusOf } from './container-process.ts';
import { type ContainerState, listStates, readState, type Status } from './container-state.ts';
import { type Command, formatOf, print } from './context.ts';

/** The state as JSON tells it (runtime-spec: runtime.md#state), with runc's `rootfs`, `created` and `owner`. */
function describe(root: string, state: ContainerState) {
  const status: Status = statusOf(root, state);
  return {
    ociVersion: state.ociVersion,
    id: state.id,
    status,
    pid: status === 'stopped' ? 0 : state.pid,
    bundle: state.bundle,
    rootfs: state.rootfs,
    created: state.created,
    annotations: state.annotations,
    owner: userName(state.owner),
  };
}

export const stateCommand: Command = {
  options: {},
  words: [1, 1],
  usage: 'state ID',
  about: 'print the state of a container as JSON',
  run({ root, id }) {
    print(`${JSON.stringify(describe(root, readState(root, id)), undefined, 2)}\n`);
    return 0;
  },
};

/** A user's name on this host, as `list` shows owners; the number where it has none. */
function userName(uid: number): string {
  let passwd = '';
  try {
    passwd = readFileSync('/etc/passwd', 'utf8');
  } catch {
    // No names then.
  }
  const line = passwd.split('\n').find((entry) => entry.split(':')[2] === String(uid));
  return line?.split(':')[0] ?? `#${uid}`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (row: readonly string[]) => row.map((cell, i) => cell.padEnd((widths[i] ?? 0) + 3)).join('');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

export const list: Command = {
  options: { quiet: { kind: 'flag', short: 'q' }, format: { kind: 'text', short: 'f' } },
  words: [0, 0],
  usage: 'list [--quiet] [--format table|json]',
  about: 'list containers',
  run({ root, options }) {
    const format = formatOf(options);
    const found = listStates(root).map((state) => describe(root, state));
    if (options.flag('quiet')) print(found.map(({ id }) => `${id}\n`).join(''));
    else if (format === 'json') print(`${JSON.stringify(found)}\n`);
    else
      print(
        table([
          ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'],
          ...found.map(({ id, pid, status, bundle, created, owner }) => [
            id,
            String(pid),
            status,
            bundle,
            created,
            owner,
          ]),
        ]),
      );
    return 0;
  },
};
