import { type EngineClient, type HijackedConnection, resultOf, usualDetachKeys } from '#client/index.ts';
import { isGantryError } from '#errors/index.ts';
import { attachStreams } from '../attached-streams.ts';
import { defineCommand } from '../command.ts';
import { checkVariable, environmentOf } from '../env-file.ts';
import { Failure } from '../failure.ts';
import { flag, list, listOf, text } from '../options.ts';
import { isTerminal, windowSize } from '../terminal.ts';
import { followTerminalSize } from '../terminal-size.ts';

export const command = defineCommand({
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  summary: 'Execute a command in a running container',
  aliases: ['container exec', 'exec'],
  options: {
    detach: flag('Detached mode: run command in the background', { short: 'd' }),
    'detach-keys': text('Override the key sequence for detaching a container'),
    env: listOf(checkVariable, 'Set environment variables', { short: 'e' }),
    'env-file': list('Read in a file of environment variables'),
    interactive: flag('Keep STDIN open even if not attached', { short: 'i' }),
    privileged: flag('Give extended privileges to the command'),
    tty: flag('Allocate a pseudo-TTY', { short: 't' }),
    user: text('Username or UID (format: "<name|uid>[:<group|gid>]")', { short: 'u' }),
    workdir: text('Working directory inside the container', { short: 'w' }),
  },
  args: [2, Number.POSITIVE_INFINITY],
  stopAtFirst: true,
  async run({ engine, config }, { values, args: [name = '', ...words] }) {
    const attach = !values.detach;
    const stdin = attach && values.interactive;
    const { tty } = values;
    if (tty && stdin && !isTerminal(0)) throw new Failure('the input device is not a TTY', 1);
    const size = tty ? windowSize() : undefined;
    const consoleSize = size === undefined ? {} : { ConsoleSize: [size.rows, size.columns] };
    const path = `/containers/${encodeURIComponent(name)}/exec`;
    const detachKeys = values['detach-keys'] || config.detachKeys || usualDetachKeys;
    const json = {
      User: values.user,
      Privileged: values.privileged,
      Tty: tty,
      AttachStdin: stdin,
      AttachStdout: attach,
      AttachStderr: attach,
      Env: environmentOf(values['env-file'], values.env, process.env),
      WorkingDir: values.workdir,
      Cmd: words,
      ...(tty ? { DetachKeys: detachKeys } : {}),
      ...consoleSize,
    };
    if (attach && !tty) {
      const whole = await wholeExec(engine, path, json);
      if (whole !== undefined) return await codeOver(whole, stdin);
    }
    const { Id } = await engine.json<{ Id: string }>('POST', path, { json });
    if (!attach) {
      await engine.json('POST', `/exec/${Id}/start`, { json: { Detach: true, Tty: tty } });
      return 0;
    }
    const connection = await engine.hijack(`/exec/${Id}/start`, { json: { Detach: false, Tty: tty, ...consoleSize } });
    const attached = attachStreams(connection, {
      stdin,
      tty,
      detachKeys,
    });
    const code = exitCodeOf(engine, Id, attached.done);
    code.catch(() => undefined); // told where it is awaited
    const stop = tty
      ? followTerminalSize((now) => engine.json('POST', `/exec/${Id}/resize`, { query: { ...now } }))
      : () => {};
    try {
      if ((await attached.done) === 'detached') throw new Failure('read escape sequence', 1);
      return await code;
    } finally {
      stop();
      attached.close();
    }
  },
});

/** Made, started and waited for over one connection, which our own engine knows; undefined where that is not to be had. */
async function wholeExec(engine: EngineClient, path: string, json: object): Promise<HijackedConnection | undefined> {
  try {
    return await engine.hijack(`/gantry${path}`, { json });
  } catch (error) {
    // Also where there is no such container: that is said the usual way.
    if (!isGantryError(error, 'not-found')) throw error;
    return undefined;
  }
}

async function codeOver(connection: HijackedConnection, stdin: boolean): Promise<number> {
  const attached = attachStreams(connection, { stdin, tty: false, detachKeys: '', tellsEnd: true });
  try {
    await attached.done;
    return resultOf(attached.end()).StatusCode;
  } finally {
    attached.close();
  }
}

/** The code that a process ends with. Our engine answers when it ends, so that nothing is to be asked then; others are asked. */
async function exitCodeOf(engine: EngineClient, id: string, ended: Promise<unknown>): Promise<number> {
  try {
    return (await engine.json<{ ExitCode: number }>('GET', `/gantry/exec/${id}/wait`)).ExitCode;
  } catch (error) {
    if (!isGantryError(error, 'not-found')) throw error;
    await ended;
    return (await engine.json<{ ExitCode: number | null }>('GET', `/exec/${id}/json`)).ExitCode ?? 0;
  }
}
