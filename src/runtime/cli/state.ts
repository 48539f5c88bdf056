import { statusOf } from './container-process.ts';
import { type ContainerState, listStates, readState, type Status } from './container-state.ts';
import { type Command, print } from './context.ts';

/** The state as JSON tells it (runtime-spec: runtime.md#state), with runc's `rootfs` and `created`. */
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

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd((widths[i] ?? 0) + 3))
          .join('')
          .trimEnd()}\n`,
    )
    .join('');
}

export const list: Command = {
  options: { quiet: { kind: 'flag', short: 'q' }, format: { kind: 'text', short: 'f' } },
  words: [0, 0],
  usage: 'list [--quiet] [--format table|json]',
  about: 'list containers',
  run({ root, options }) {
    const found = listStates(root).map((state) => describe(root, state));
    if (options.flag('quiet')) print(found.map(({ id }) => `${id}\n`).join(''));
    else if (options.text('format') === 'json') print(`${JSON.stringify(found)}\n`);
    else
      print(
        table([
          ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED'],
          ...found.map(({ id, pid, status, bundle, created }) => [id, String(pid), status, bundle, created]),
        ]),
      );
    return 0;
  },
};
