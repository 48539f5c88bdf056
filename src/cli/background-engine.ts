import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '#errors/index.ts';
import { Failure } from './failure.ts';
import { writeError } from './output.ts';

const patienceMs = 20_000;
const patienceWithAnotherMs = 5_000;

/** bin/gantry of this installation, from build/bin/gantry or src/cli/main.ts: it runs the engine on Node. */
const starterPath = () =>
  resolve(process.versions.bun === undefined ? (process.argv[1] ?? '') : process.execPath, '../../../bin/gantry');

/**
 * Starts an engine on the default socket that outlives this command, and waits until it answers. Of two commands that
 * do so at the same moment one engine wins, and both use it.
 * @returns true once the socket answers
 * @throws Failure naming the log where the engine ends instead
 */
export async function startBackgroundEngine(host: string): Promise<boolean> {
  const { log, path } = openLog();
  const child = spawn(starterPath(), ['daemon'], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let ended: string | undefined;
  let endedAt = 0;
  child.once('error', (error) => {
    ended = messageOf(error);
    endedAt = performance.now();
  });
  child.once('exit', (code, signal) => {
    ended = signal === null ? `exit code ${code}` : `signal ${signal}`;
    endedAt = performance.now();
  });
  writeError(`gantry: no engine on ${host}; starting one in the background (pid ${child.pid}, log ${path})\n`);
  const socketPath = host.slice('unix://'.length);
  for (let deadline = performance.now() + patienceMs; performance.now() < deadline; await sleep(10)) {
    if (await answers(socketPath)) {
      child.unref();
      return true;
    }
    // It may have made way for another that is starting.
    if (ended !== undefined) deadline = Math.min(deadline, endedAt + patienceWithAnotherMs);
  }
  if (ended !== undefined) throw new Failure(`gantry: the engine did not start (${ended}); see ${path}`, 1);
  throw new Failure(`gantry: the engine (pid ${child.pid}) does not answer on ${host} yet; see ${path}`, 1);
}

/** In /var/log, or where that cannot be written, beside the socket. */
function openLog(): { log: number; path: string } {
  let last: unknown;
  for (const folder of ['/var/log', '/run/gantry']) {
    try {
      mkdirSync(folder, { recursive: true });
      const path = `${folder}/gantry.log`;
      return { log: openSync(path, 'a', 0o640), path };
    } catch (error) {
      last = error;
    }
  }
  throw new Failure(
    `gantry: no engine is running, and none can be started here (${messageOf(last)}); run 'gantry daemon' as root or give --host`,
    1,
  );
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
