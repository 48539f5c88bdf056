import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { RuntimeSpec } from '#oci/index.ts';
import { cgroupDirectories, removeCgroup } from '../harness/cgroups.ts';
import { project } from '../harness/program.ts';

export const program = `${project}/bin/gantry-runtime`;
export const busybox = '/bin/busybox';
export const reasonToSkip = existsSync(busybox) ? false : 'busybox-static is not installed';

export type Writable<T> = { -readonly [K in keyof T]: T[K] };

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** gantry-runtime with a state directory and a bundle of its own. */
export interface Workbench extends Disposable {
  readonly home: string;
  readonly root: string;
  readonly bundle: string;
  runtime(...words: readonly string[]): Outcome;
  /** Its stdout. Fails where it does. */
  succeed(...words: readonly string[]): string;
  /** Fails where it succeeds, or says something else. */
  refuse(pattern: RegExp, ...words: readonly string[]): void;
  state(id: string): { readonly status: string; readonly pid: number; readonly bundle: string };
  /** Until the container has the status. */
  waitFor(id: string, status: string): void;
  /** Writes the bundle's config.json: what `spec` gives, with a script to run and changes. */
  configure(script: string, change?: (config: Writable<RuntimeSpec>) => void): void;
  /** No state, no cgroup. */
  assertNothingLeft(): void;
  /** Removes all containers. */
  clear(): void;
}

export function openWorkbench(): Workbench {
  /** Below this each configuration has a cgroup of its own. */
  const cgroup = `/gantry-rt-${process.pid}`;
  let configured = 0;
  const home = mkdtempSync('/tmp/gantry-rt-');
  const root = `${home}/state`;
  const bundle = `${home}/bundle`;
  mkdirSync(`${bundle}/rootfs/bin`, { recursive: true });
  copyFileSync(busybox, `${bundle}/rootfs/bin/busybox`);
  for (const applet of ['sh', 'sleep', 'cat', 'id', 'hostname', 'stty', 'tail', 'grep', 'readlink', 'tty', 'dd'])
    symlinkSync('busybox', `${bundle}/rootfs/bin/${applet}`);

  /** Output goes to files: a container that lives on keeps what it inherited, and would hold up a pipe. */
  function runtime(...words: readonly string[]): Outcome {
    const [out, err] = [`${home}/stdout`, `${home}/stderr`];
    const stdio = ['ignore', openSync(out, 'w'), openSync(err, 'w')] as const;
    const { status } = spawnSync(program, ['--root', root, ...words], { stdio: [...stdio], timeout: 20_000 });
    for (const fd of stdio.slice(1)) closeSync(Number(fd));
    return { status, stdout: readFileSync(out, 'utf8'), stderr: readFileSync(err, 'utf8') };
  }

  function succeed(...words: readonly string[]): string {
    const { status, stdout, stderr } = runtime(...words);
    assert.equal(status, 0, `${words.join(' ')}: ${stderr}`);
    return stdout;
  }

  const state = (id: string) => JSON.parse(succeed('state', id)) as ReturnType<Workbench['state']>;

  return {
    home,
    root,
    bundle,
    runtime,
    succeed,
    state,
    refuse(pattern, ...words) {
      const { status, stderr } = runtime(...words);
      assert.notEqual(status, 0, `${words.join(' ')} succeeded`);
      assert.match(stderr, pattern);
    },
    waitFor(id, status) {
      // Each question takes milliseconds, so no more waiting is needed.
      const end = performance.now() + 10_000;
      while (state(id).status !== status) assert.ok(performance.now() < end, `${id} never became ${status}`);
    },
    configure(script, change = () => undefined) {
      rmSync(`${bundle}/config.json`, { force: true });
      succeed('spec', '--bundle', bundle);
      const config = JSON.parse(readFileSync(`${bundle}/config.json`, 'utf8')) as Writable<RuntimeSpec>;
      if (config.process !== undefined)
        config.process = { ...config.process, terminal: false, args: ['/bin/sh', '-c', script], env: ['PATH=/bin'] };
      config.linux = { ...config.linux, cgroupsPath: `${cgroup}/${configured++}` };
      change(config);
      writeFileSync(`${bundle}/config.json`, JSON.stringify(config));
    },
    assertNothingLeft() {
      assert.deepEqual(existsSync(root) ? readdirSync(root) : [], []);
      for (const directory of cgroupDirectories(cgroup))
        assert.deepEqual(
          readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory()),
          [],
        );
    },
    clear() {
      for (const id of succeed('list', '--quiet').split('\n').filter(Boolean)) runtime('delete', '--force', id);
    },
    [Symbol.dispose]() {
      removeCgroup(cgroup);
      rmSync(home, { recursive: true, force: true });
    },
  };
}
