// The spare's side of native/standby.h: this process has the command line loaded, and runs one command that another `gantry`
// hands it, with that one's arguments, environment, descriptors, working directory and umask.
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { check, kernel, receiveMessage } from '#linux/index.ts';
import { program } from './program.ts';
import { rehearse } from './rehearse.ts';

const CONTROL = 3;
const READY = 1;
const EXITED = 2;
const requestBytes = 48;
const oneReadBytes = 128 * 1024;

/** Commands that scripts call most: loaded before they are asked for. */
const expected = ['run', 'exec', 'create', 'start', 'ps', 'rm', 'inspect', 'logs', 'stop', 'wait'];

type Main = (argv: readonly string[]) => Promise<number>;

interface HandedCommand {
  readonly connection: number;
  readonly umask: number;
  readonly descriptors: readonly number[];
  readonly args: readonly string[];
  readonly environment: readonly string[];
}

/** Loads, waits to be handed a command, and takes its place; undefined where none will come any more. Returns its arguments. */
export async function takeCommand(main: Main): Promise<readonly string[] | undefined> {
  await Promise.all(program.filter(({ names }) => expected.includes(names[0] ?? '')).map(({ load }) => load()));
  await rehearse(main);
  writeSync(CONTROL, 'r');
  const handed = receiveCommand();
  if (handed === undefined || !mayBegin(handed.connection)) return undefined;
  closeSync(CONTROL);
  takePlace(handed);
  return handed.args.slice(1);
}

/** Blocks until the standby passes a starter's connection on, and that one has told all. */
function receiveCommand(): HandedCommand | undefined {
  const { bytes: request, descriptors: passed } = receiveMessage(CONTROL, requestBytes);
  const [connection] = passed;
  if (connection === undefined || request.length !== requestBytes) return undefined;
  const umask = request.readUInt32LE(4);
  const count = request.readUInt32LE(8);
  const size = request.readUInt32LE(12);
  const { bytes: first, descriptors } = receiveMessage(connection, Math.min(size, oneReadBytes));
  const strings = stringsOf(connection, first, size);
  if (strings === undefined || descriptors.length !== 4) return undefined;
  return { connection, umask, descriptors, args: strings.slice(0, count), environment: strings.slice(count) };
}

function stringsOf(connection: number, first: Buffer, size: number): readonly string[] | undefined {
  const all = Buffer.alloc(size);
  let length = first.copy(all);
  while (length < size) {
    const more = readSync(connection, all, length, size - length, null);
    if (more === 0) return undefined;
    length += more;
  }
  return all.toString('utf8').split('\0').slice(0, -1);
}

/** From the starter's go on, the command runs here and nowhere else. */
function mayBegin(connection: number): boolean {
  writeSync(connection, reply(READY, process.pid));
  return readSync(connection, Buffer.alloc(1), 0, 1, null) === 1;
}

function takePlace({ connection, umask, descriptors, environment }: HandedCommand): void {
  const [input, output, errors, directory] = descriptors;
  for (const [fd, given] of [input, output, errors].entries()) replace(fd, given ?? -1);
  process.chdir(`/proc/self/fd/${directory}`);
  for (const fd of descriptors) closeSync(fd);
  process.umask(umask);
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const variable of environment) {
    const equals = variable.indexOf('=', 1);
    if (equals > 0) process.env[variable.slice(0, equals)] = variable.slice(equals + 1);
  }
  process.on('exit', (code) => tellEnd(connection, code));
}

/** Whoever reads what the command wrote sees its end before the command is seen to have ended. */
function tellEnd(connection: number, code: number): void {
  const nothing = openSync('/dev/null', 'r+');
  for (const fd of [0, 1, 2]) replace(fd, nothing);
  try {
    writeSync(connection, reply(EXITED, code));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error; // the starter is gone: nobody is to be told
  }
}

const replace = (fd: number, by: number): void => void check(kernel.call('dup3', by, fd, 0), 'dup3', `${by} to ${fd}`);

function reply(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}
