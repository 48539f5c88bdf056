import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEngine } from '../harness/engine.ts';
import { hubUnderTest, passwords } from './hub-under-test.ts';

test('an engine pulls what Docker Hub has through a mirror, also when the upstream is away, and runs it', async () => {
  await using upstream = await hubUnderTest();
  await using mirror = await hubUnderTest(['--mirror-host', 'localhost=dockerhub']);
  await mirror.admin('mirror', 'add', 'dockerhub', new URL(upstream.url).host, '--anonymous');
  const at = mirror.url.replace('127.0.0.1', 'localhost');
  await using engine = await startEngine(['--registry-mirror', at]);
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await engine.gantry(args, { input: passwords.ana ?? '' });
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };

  const hub = new URL(upstream.url).host;
  await ok('login', hub, '-u', 'ana', '--password-stdin');
  await ok('tag', 'busybox', `${hub}/ana/word:v1`);
  await ok('push', `${hub}/ana/word:v1`);
  await upstream.admin('repo', 'public', 'ana/word');
  await ok('rmi', '-f', 'busybox', `${hub}/ana/word:v1`);
  await ok('pull', 'ana/word:v1');
  assert.equal(await ok('run', '--rm', 'ana/word:v1', 'echo', 'from the mirror'), 'from the mirror');
  assert.match(await ok('inspect', '-f', '{{.RepoDigests}}', 'ana/word:v1'), /ana\/word@sha256:/);
  await ok('rmi', 'ana/word:v1');
  assert.equal(await ok('images', '-q'), '');

  await upstream.restart('SIGKILL'); // at another port: for the mirror it is away
  assert.equal(await ok('run', '--rm', '--quiet', 'ana/word:v1', 'echo', 'from the cache'), 'from the cache');
});
