import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { resolve } from 'node:path';

export const project = resolve(import.meta.dirname, '../..');
export const gantryProgram = `${project}/bin/gantry`;
// What the starters run must be of the present sources.
for (const script of ['build-native', 'build-programs'])
  execFileSync(process.execPath, [`${project}/scripts/${script}.mjs`], { stdio: ['ignore', 'ignore', 'inherit'] });

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Runs a program to its end. A signal counts as 128 + its number, as in a shell. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawn(program, args, {
    cwd: options.cwd ?? project,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 120_000,
    killSignal: 'SIGKILL',
  });
  const text = (stream: NodeJS.ReadableStream) =>
    new Promise<string>((done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => done(Buffer.concat(chunks).toString('utf8')));
    });
  child.stdin.on('error', () => undefined); // a program may end without reading
  child.stdin.end(options.input ?? '');
  const ended = new Promise<number>((done) => child.once('close', (code, signal) => done(code ?? (signal ? 137 : 1))));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

/** Starts a service, by the command `under` if one is given, and waits for a line that says it listens; that line is returned. */
export async function startService(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  under: readonly string[] = [],
): Promise<{ child: ChildProcess; line: string; output: () => string }> {
  const [program = gantryProgram, ...before] = [...under, gantryProgram];
  const child = spawn(program, [...before, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const line = await new Promise<string>((ready, fail) => {
    const take = (data: Buffer) => {
      text += data.toString('utf8');
      const found = /^.*listening on.*$/m.exec(text);
      if (found !== null) ready(found[0]);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('error', fail);
    child.once('exit', (code) => fail(new Error(`gantry ${args.join(' ')} ended with ${code}:\n${text}`)));
  });
  return { child, line, output: () => text };
}

/** Ends a process and waits until it is gone. */
export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  await gone;
}

/** Asks again until the answer is wanted, at most `timeoutMs`. */
export async function until<T>(ask: () => Promise<T | undefined> | T | undefined, timeoutMs = 20_000): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`it did not come to be within ${timeoutMs} ms: ${ask}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}
