import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { run, until } from '../harness/program.ts';

const program = '/usr/bin/docker-compose';
const absent = !existsSync(program) && 'docker-compose (v1) is not installed';

/** Three services: a store with a volume, a page of a built image that asks it, and a door to the host. */
const application = `
version: '2.4'
services:
  store:
    image: busybox
    command: sh -c 'mkdir -p /data/www; test -e /data/www/born || echo born > /data/www/born; exec httpd -f -p 80 -h /data/www'
    volumes: ['kept:/data']
    networks: {back: {aliases: [records]}}
    stop_signal: SIGKILL
    healthcheck:
      test: ['CMD', 'wget', '-q', '-O', '-', 'http://127.0.0.1/born']
      interval: 200ms
      retries: 20
  page:
    build:
      context: page
      args: {GREETING: good day}
    image: page:built
    environment: {FROM: compose}
    depends_on: {store: {condition: service_healthy}}
    networks: [front, back]
    labels: {org.example.part: page}
    stop_signal: SIGKILL
    expose: ['80']
  door:
    image: busybox
    command: sh -c 'until wget -q -O /tmp/index.html http://page/; do sleep 0.1; done; echo opened; exec httpd -f -p 8080 -h /tmp'
    depends_on: [page]
    networks: [front]
    ports: ['127.0.0.1::8080']
    restart: unless-stopped
    stop_signal: SIGKILL
    mem_limit: 64m
    cap_drop: [NET_RAW]
    ulimits: {nofile: {soft: 512, hard: 512}}
    volumes: ['./settings:/settings:ro']
    tmpfs: [/scratch]
    logging: {driver: json-file, options: {max-size: 1m}}
networks:
  front:
  back: {internal: true}
volumes:
  kept: {labels: {org.example.kept: 'yes'}}
`;

const dockerfile = `
FROM busybox AS words
ARG GREETING=nothing
RUN mkdir /www && echo "$GREETING from the page" > /www/greeting
FROM busybox
COPY --from=words /www /www
COPY start /start
CMD ["sh", "/start"]
`;

const start = `
wget -q -O /www/born http://records/born || exit 3
cat /www/greeting /www/born > /www/index.html
echo "$FROM: serving"
exec httpd -f -p 80 -h /www
`;

describe('docker-compose v1, a program that is not ours', { skip: absent }, () => {
  let engine: Engine;
  let folder: string;
  before(async () => {
    engine = await startEngine();
    folder = `${engine.root}/shop`;
    mkdirSync(`${folder}/page`, { recursive: true });
    mkdirSync(`${folder}/settings`);
    writeFileSync(`${folder}/docker-compose.yml`, application);
    writeFileSync(`${folder}/page/Dockerfile`, dockerfile);
    writeFileSync(`${folder}/page/start`, start);
    writeFileSync(`${folder}/settings/colour`, 'blue\n');
  });
  after(() => engine[Symbol.asyncDispose]());
  const compose = (...args: string[]) =>
    run(program, args, { cwd: folder, env: { ...engine.env, COMPOSE_ANSI: 'never' } });
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await compose(...args);
    assert.equal(code, 0, `docker-compose ${args.join(' ')}: ${stdout}${stderr}\n${engine.output()}`);
    return stdout;
  };
  const doorOf = async () => (await ok('port', 'door', '8080')).trim();

  test('build and up: in the order of health, with networks, aliases, volumes and a published port', async () => {
    assert.match(await ok('build'), /Successfully tagged page:built/);
    await ok('up', '-d');
    const address = await doorOf();
    assert.match(address, /^127\.0\.0\.1:\d+$/);
    await until(async () => (/opened/.test(await ok('logs', 'door')) ? true : undefined));
    const answer = await fetch(`http://${address}/index.html`);
    assert.equal(await answer.text(), 'good day from the page\nborn\n');
    const listed = await ok('ps');
    assert.match(listed, /shop_store_1 .*Up \(healthy\)/);
    assert.match(listed, /shop_page_1 .*Up .*80\/tcp/);
    assert.match(listed, /shop_door_1 .*127\.0\.0\.1:\d+->8080\/tcp/);
    assert.equal((await ok('ps', '-q')).trim().split('\n').length, 3);
  });

  test('up again changes nothing; a changed service alone is made anew', async () => {
    const before = await ok('ps', '-q');
    await ok('up', '-d');
    assert.equal(await ok('ps', '-q'), before);
    writeFileSync(`${folder}/docker-compose.yml`, application.replace('mem_limit: 64m', 'mem_limit: 96m'));
    await ok('up', '-d');
    const ids = new Set((await ok('ps', '-q')).trim().split('\n'));
    assert.equal(
      before
        .trim()
        .split('\n')
        .filter((id) => ids.has(id)).length,
      2,
    );
  });

  test('logs, exec, run, top, events of the services', async () => {
    assert.match(await ok('logs', '--no-color'), /page_1 +\| compose: serving/);
    assert.equal(await ok('exec', '-T', 'door', 'cat', '/settings/colour'), 'blue\n');
    assert.equal(await ok('exec', '-T', '-e', 'X=7', 'door', 'sh', '-c', 'echo $X; ulimit -n'), '7\n512\n');
    assert.equal((await compose('exec', '-T', 'door', 'sh', '-c', 'exit 7')).code, 7);
    assert.notEqual((await compose('exec', '-T', 'door', 'touch', '/settings/x')).code, 0);
    assert.equal(
      await ok('run', '--rm', '-T', '--no-deps', 'page', 'cat', '/www/greeting'),
      'good day from the page\n',
    );
    assert.match(await ok('top', 'store'), /httpd -f -p 80/);
    assert.match(await ok('images'), /shop_page_1 +page +built/);
  });

  test('stop, start, restart, pause, kill', async () => {
    await ok('pause', 'store');
    assert.match(await ok('ps', 'store'), /Paused/);
    await ok('unpause', 'store');
    await ok('restart', 'page');
    await ok('stop', 'page');
    assert.match(await ok('ps', 'page'), /Exit/);
    await ok('start', 'page');
    assert.match(await ok('ps', 'page'), /Up/);
    await ok('kill', '-s', 'KILL', 'page');
    assert.match(await ok('ps', 'page'), /Exit 137/);
    await ok('rm', '-f', 'page');
    await ok('up', '-d');
  });

  test('scale: one name, several addresses', async () => {
    await ok('up', '-d', '--scale', 'page=3');
    assert.equal((await ok('ps', '-q', 'page')).trim().split('\n').length, 3);
    const found = await ok('exec', '-T', 'door', 'nslookup', 'page');
    assert.equal(found.match(/Address.*?: \d+\.\d+\.\d+\.\d+$/gm)?.length, 3, found);
    await ok('up', '-d', '--scale', 'page=1');
    assert.equal((await ok('ps', '-q', 'page')).trim().split('\n').length, 1);
  });

  test('down keeps the volume, down -v removes all', async () => {
    await ok('down');
    const volumes = async () => (await engine.gantry(['volume', 'ls', '-q'])).stdout.trim();
    assert.equal(await volumes(), 'shop_kept');
    await ok('up', '-d', 'store');
    await ok('down', '-v', '--rmi', 'local');
    assert.equal(await volumes(), '');
    assert.equal((await engine.gantry(['ps', '-aq'])).stdout, '');
    assert.doesNotMatch((await engine.gantry(['network', 'ls'])).stdout, /shop_/);
  });
});
