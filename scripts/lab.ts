// `npm run lab`: the whole story on real parts. A hub, two engines with their own data roots, two accounts; one builds,
// runs and pushes, the other pulls and runs it. Prints each command as a user types it, its real output and its time.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { leftovers } from '../e2e/harness/leftovers.ts';
import { debianBase } from './debian-base.ts';

const keep = process.argv.includes('--keep');
const project = resolve(import.meta.dirname, '..');
const gantry = join(project, 'bin/gantry');
const root = mkdtempSync(join(tmpdir(), 'gantry-lab-'));
const services: { name: string; child: ChildProcess }[] = [];
const timings: [string, number][] = [];
const bridges: string[] = [];
let failures = 0;

const freePort = () =>
  new Promise<number>((done, fail) => {
    const server = createServer().once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

interface Person {
  readonly name: string;
  readonly password: string;
  readonly env: NodeJS.ProcessEnv;
}

interface Outcome {
  readonly output: string;
  readonly code: number;
}

/** Runs a command as a person would, printing it, what it says and how long it took. */
async function sh(
  person: Person,
  command: string,
  options: { input?: string; expect?: string | RegExp; code?: number; cwd?: string } = {},
): Promise<Outcome> {
  process.stdout.write(`\n\x1b[1m${person.name} $ ${command}\x1b[0m\n`);
  const began = performance.now();
  const child = spawn('bash', ['-c', command], {
    cwd: options.cwd ?? project,
    env: person.env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  const take = (data: Buffer) => {
    output += data.toString();
    process.stdout.write(data);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  child.stdin.on('error', () => undefined); // a command may end without reading
  child.stdin.end(options.input ?? '');
  const code = await new Promise<number>((done) => child.once('close', (c) => done(c ?? 1)));
  const seconds = (performance.now() - began) / 1000;
  timings.push([`${person.name} $ ${command}`, seconds]);
  const fits =
    options.expect === undefined ||
    (typeof options.expect === 'string' ? output.includes(options.expect) : options.expect.test(output));
  const ok = code === (options.code ?? 0) && fits;
  if (!ok) failures++;
  process.stdout.write(
    ok
      ? `\x1b[2m(${seconds.toFixed(2)} s)\x1b[0m\n`
      : `\x1b[31mWRONG: exit ${code}, expected ${options.code ?? 0}${fits ? '' : ` and output with ${options.expect}`}\x1b[0m\n`,
  );
  return { output, code };
}

/** Starts a service and waits until it says it listens. */
async function service(name: string, args: readonly string[]): Promise<void> {
  process.stdout.write(`\n\x1b[1m# ${name}: gantry ${args.join(' ')} &\x1b[0m\n`);
  const child = spawn(gantry, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  services.push({ name, child });
  let text = '';
  await new Promise<void>((ready, fail) => {
    const take = (data: Buffer) => {
      text += data.toString();
      if (/listening/.test(text)) ready();
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('exit', (code) => fail(new Error(`${name} ended with ${code}: ${text}`)));
  });
  process.stdout.write(`${text.trim()}\n`);
}

async function stopServices(): Promise<void> {
  for (const { child } of services.splice(0).reverse()) {
    if (child.exitCode !== null) continue;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    await gone;
  }
}

/** `gantry run -it` in a real terminal (script(1) makes the pseudo-terminal), left running while `body` asks it. */
async function withRunning(person: Person, command: string, port: number, body: () => Promise<void>): Promise<void> {
  process.stdout.write(`\n\x1b[1m${person.name} $ ${command}\x1b[0m\n`);
  const began = performance.now();
  const child = spawn('script', ['-qefc', command, '/dev/null'], { env: person.env, stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = new Promise<number>((done) => child.once('close', (code) => done(code ?? 1)));
  let text = '';
  const up = new Promise<void>((ready, fail) => {
    child.stdout.on('data', (data: Buffer) => {
      process.stdout.write(data);
      text += data.toString();
      if (/listening on port/.test(text)) ready();
    });
    void ended.then(() => fail(new Error(`${command} ended before it listened`)));
  });
  await up;
  timings.push([`${person.name} $ ${command} (until it listens)`, (performance.now() - began) / 1000]);
  process.stdout.write(
    `\x1b[2m(listens after ${((performance.now() - began) / 1000).toFixed(2)} s, port ${port})\x1b[0m\n`,
  );
  await body();
  child.stdin.write('\x03'); // Ctrl-C
  await ended;
}

async function main(): Promise<void> {
  const [hubPort, webPort] = [await freePort(), await freePort()];
  const hub = `127.0.0.1:${hubPort}`;
  const engine = (name: string) => {
    const socket = `unix://${root}/${name}/gantry.sock`;
    const bridge = `gtlab${name[0]}${process.pid.toString(36)}`;
    bridges.push(bridge);
    const roots = ['--data-root', `${root}/${name}/data`, '--exec-root', `${root}/${name}/run`];
    return { socket, args: ['daemon', '--host', socket, ...roots, '--bridge', bridge] };
  };
  const engines = { ana: engine('ana'), ben: engine('ben') };
  const person = (name: 'ana' | 'ben' | 'root', password: string): Person => {
    mkdirSync(`${root}/${name}`, { recursive: true });
    return {
      name,
      password,
      env: {
        ...process.env,
        PATH: `${join(project, 'bin')}:${process.env.PATH}`,
        DOCKER_CONFIG: `${root}/${name}/config`,
        GANTRY_HOST: name === 'ben' ? engines.ben.socket : engines.ana.socket,
        HUB: hub,
      },
    };
  };
  const [admin, ana, ben] = [
    person('root', ''),
    person('ana', 'correct horse battery'),
    person('ben', 'staple staple staple'),
  ];

  await service('hub', ['hub', 'serve', '--listen', hub, '--data-root', `${root}/hub`]);
  await service('engine of ana', engines.ana.args);
  await service('engine of ben', engines.ben.args);
  for (const someone of [ana, ben])
    await sh(admin, `gantry hub user add ${someone.name} --password-stdin --data-root ${root}/hub`, {
      input: someone.password,
    });

  const base = await debianBase(join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'gantry'));
  await sh(ana, `gantry login ${hub} -u ana --password-stdin`, { input: ana.password, expect: 'Login Succeeded' });
  await sh(ana, `gantry import ${base} ${hub}/ana/debian:bookworm`, { expect: 'sha256:' });
  await sh(ana, `gantry push ${hub}/ana/debian:bookworm`, { expect: 'digest: sha256:' });

  const image = `${hub}/ana/hello-docker:v0.1.0`;
  await sh(ana, `gantry build . -t ${image} --build-arg NAME=ana --build-arg BASE=${hub}/ana/debian:bookworm`, {
    cwd: join(project, 'examples/hello'),
    expect: 'Successfully tagged',
  });
  await sh(ana, 'gantry images', { expect: 'hello-docker' });
  await sh(ana, `gantry inspect ${image}`, { expect: '"8080/tcp"' });
  await withRunning(ana, `gantry run -it --rm -p ${webPort}:8080 ${image}`, webPort, async () => {
    await sh(ana, `curl -s localhost:${webPort}`, { expect: 'Hello from ana World!' });
    await sh(ana, 'gantry ps', { expect: image });
  });
  await sh(ana, `gantry push ${image}`, { expect: 'digest: sha256:' });

  await sh(ben, `gantry login ${hub} -u ben --password-stdin`, { input: ben.password, expect: 'Login Succeeded' });
  await sh(ben, 'gantry images');
  await withRunning(ben, `gantry run -it --rm -p ${webPort}:8080 -e TARGET=Class ${image}`, webPort, async () => {
    await sh(ben, `curl -s localhost:${webPort}`, { expect: 'Hello from ana Class!' });
  });
  await sh(ben, `gantry tag ${image} ${hub}/ana/hello-docker:stolen && gantry push ${hub}/ana/hello-docker:stolen`, {
    code: 1,
  });
  await sh(ben, 'gantry ps -a', { expect: 'CONTAINER ID' });

  const database = join(project, 'examples/one-container-database');
  await sh(ana, `gantry build -q -t one-container-database --build-arg BASE=${hub}/ana/debian:bookworm .`, {
    cwd: database,
    expect: 'sha256:',
  });
  await sh(ana, './prove one-container-database', { cwd: database, expect: 'proved: written, read, listed' });

  process.stdout.write('\n\x1b[1mTimes\x1b[0m\n');
  for (const [what, seconds] of timings)
    process.stdout.write(`${seconds.toFixed(2).padStart(8)} s  ${what.replaceAll(root, '…')}\n`);
  if (keep && failures === 0) {
    process.stdout.write(
      `\nHub:    http://${hub}  (accounts ana / "${ana.password}", ben / "${ben.password}")\nEngine: export GANTRY_HOST=${engines.ana.socket} PATH=${join(project, 'bin')}:$PATH\n        gantry run -it --rm -p ${webPort}:8080 ${image}\nStop everything with Ctrl-C here.\n`,
    );
    await new Promise((done) => process.once('SIGINT', done));
  }
}

try {
  await main();
} catch (error) {
  failures++;
  process.stderr.write(`lab: ${error instanceof Error ? error.message : String(error)}\n`);
} finally {
  await stopServices();
  const left = bridges.flatMap((bridge) => leftovers(root, bridge));
  for (const line of left) process.stderr.write(`left behind: ${line}\n`);
  failures += left.length;
  rmSync(root, { recursive: true, force: true });
}
process.stdout.write(failures === 0 ? '\nlab: every answer was right\n' : `\nlab: ${failures} answers were wrong\n`);
process.exitCode = failures === 0 ? 0 : 1;
