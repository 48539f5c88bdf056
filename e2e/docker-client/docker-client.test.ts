import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { type Hub, startHub } from '../harness/hub.ts';
import { until } from '../harness/program.ts';

const absent = spawnSync('docker', ['--version']).status !== 0 && 'no docker client on this machine';

describe('the stock docker client', { skip: absent }, () => {
  let engine: Engine;
  let hub: Hub;
  before(async () => {
    [engine, hub] = await Promise.all([startEngine(), startHub()]);
    await hub.addUser('ana', 'correct horse');
  });
  after(async () => {
    await engine[Symbol.asyncDispose]();
    await hub[Symbol.asyncDispose]();
  });
  const ok = async (args: string[], input?: string) => {
    const { code, stdout, stderr } = await engine.docker(args, input === undefined ? {} : { input });
    assert.equal(code, 0, `docker ${args.join(' ')}: ${stderr}`);
    return stdout;
  };

  test('version and info', async () => {
    assert.match(await ok(['version']), /Server: Gantry/);
    assert.match(await ok(['info']), /Storage Driver: overlay2/);
    assert.match(await ok(['info', '--format', '{{.DefaultRuntime}}']), /gantry/);
  });

  test('run, ps, logs, exec, inspect, stop, rm', async () => {
    assert.equal(await ok(['run', '--rm', 'busybox', 'echo', 'hi']), 'hi\n');
    assert.equal((await engine.docker(['run', '--rm', 'busybox', 'sh', '-c', 'exit 9'])).code, 9);
    assert.equal((await engine.docker(['run', '--rm', 'busybox', 'nope'])).code, 127);
    assert.equal(await ok(['run', '-i', '--rm', 'busybox', 'cat'], 'through\n'), 'through\n');
    const id = (await ok(['run', '-d', '--name', 'dock', 'busybox', 'sh', '-c', 'echo up; exec sleep 1000'])).trim();
    assert.match(await ok(['ps']), new RegExp(`${id.slice(0, 12)}\\s+busybox\\s+"sh -c .*Up .*\\sdock$`, 'm'));
    await until(async () => ((await ok(['logs', 'dock'])) === 'up\n' ? true : undefined));
    assert.equal(await ok(['exec', 'dock', 'hostname']), `${id.slice(0, 12)}\n`);
    assert.equal(await ok(['exec', '-i', 'dock', 'cat'], 'in\n'), 'in\n');
    assert.equal((await ok(['inspect', '-f', '{{.State.Running}} {{.Config.Image}}', 'dock'])).trim(), 'true busybox');
    assert.match(await ok(['top', 'dock']), /sleep 1000/);
    await ok(['stop', '-t', '0', 'dock']);
    await ok(['rm', 'dock']);
    assert.equal(await ok(['ps', '-aq']), '');
  });

  test('build, images, tag, push, rmi, pull, save and load', async () => {
    const context = `${engine.root}/context`;
    mkdirSync(context);
    writeFileSync(`${context}/note`, 'hello\n');
    writeFileSync(`${context}/Dockerfile`, 'FROM busybox\nCOPY note /note\nRUN echo more >> /note\nCMD cat /note\n');
    const name = `${hub.address}/ana/note:v1`;
    const built = await ok(['build', '-t', name, context]);
    assert.match(built, /Step 1\/4 : FROM busybox/);
    assert.match(built, /Successfully tagged/);
    assert.match(await ok(['images']), /ana\/note\s+v1/);
    assert.equal(await ok(['run', '--rm', name]), 'hello\nmore\n');
    await ok(['login', hub.address, '-u', 'ana', '--password-stdin'], 'correct horse');
    assert.match(await ok(['push', name]), /digest: sha256:/);
    await ok(['rmi', name]);
    assert.match(await ok(['pull', name]), /Downloaded newer image/);
    assert.equal(await ok(['run', '--rm', name]), 'hello\nmore\n');
    const tar = `${engine.root}/note.tar`;
    await ok(['save', '-o', tar, name]);
    await ok(['rmi', name]);
    assert.match(await ok(['load', '-i', tar]), /Loaded image/);
    assert.equal(await ok(['run', '--rm', name]), 'hello\nmore\n');
    assert.match(await ok(['history', name]), /RUN|echo more/);
    const bad = `${engine.root}/bad`;
    mkdirSync(bad);
    writeFileSync(`${bad}/Dockerfile`, 'FROM busybox\nCOPPY a b\n');
    const refused = await engine.docker(['build', bad]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /COPPY/);
  });
});
