import { spawn } from 'node:child_process';
import { GantryError, messageOf } from '#errors/index.ts';
import { exactJson, type Hook, type RuntimeSpec, type State } from '#oci/index.ts';
import { checkHook } from './hook-steps.ts';

/** A configuration with hooks. */
type Hooked = Pick<RuntimeSpec, 'hooks'>;

const saidBytes = 512;

async function runHook(kind: 'poststart' | 'poststop', hook: Hook, state: State): Promise<void> {
  const { path, args = [path], env = [], timeout } = hook;
  checkHook(kind, hook);
  const [argv0 = path, ...rest] = args;
  const environment = Object.fromEntries(
    env.map((entry) => [entry.split('=', 1)[0] ?? '', entry.replace(/^[^=]*=?/, '')]),
  );
  const child = spawn(path, rest, { argv0, env: environment, stdio: ['pipe', 'ignore', 'pipe'], detached: true });
  const ended = Promise.withResolvers<string>();
  let said = '';
  let late = false;
  const timer =
    timeout === undefined
      ? undefined
      : setTimeout(() => {
          late = true;
          if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
        }, timeout * 1000);
  child.stderr.on('data', (bytes: Buffer) => {
    said = (said + bytes.toString()).slice(0, saidBytes);
  });
  // One that reads nothing is none the worse for it.
  child.stdin.on('error', () => undefined);
  child.once('error', (error) => ended.resolve(error.message));
  child.once('exit', (code, signal) => {
    if (late) ended.resolve('it took too long');
    else ended.resolve(code === 0 ? '' : `it ended with ${signal ?? code}: ${said.trim()}`);
  });
  child.stdin.end(exactJson(state));
  const failure = await ended.promise;
  clearTimeout(timer);
  child.stderr.destroy();
  if (failure !== '')
    throw new GantryError('internal', `running the ${kind} hook ${path}: ${failure}`, { code: 'hook-failed' });
}

/**
 * Runs the poststart hooks in order, in our own namespaces, with the state on stdin (runtime-spec:
 * config.md#posix-platform-hooks). Hooks of other kinds but poststop are operations of the plan.
 * @throws GantryError internal code `hook-failed`, of the first that fails or takes too long; those after it have not run,
 *   and the container is to be stopped
 */
export async function runPoststartHooks(spec: Hooked, state: State): Promise<void> {
  for (const hook of spec.hooks?.poststart ?? []) await runHook('poststart', hook, state);
}

/** Runs every poststop hook; one that fails is a warning, and keeps none of the others (runtime-spec: runtime.md#lifecycle). */
export async function runPoststopHooks(spec: Hooked, state: State): Promise<void> {
  for (const hook of spec.hooks?.poststop ?? []) {
    try {
      await runHook('poststop', hook, state);
    } catch (error) {
      process.emitWarning(messageOf(error), { code: 'hook-failed' });
    }
  }
}
