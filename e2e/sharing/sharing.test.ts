import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { startEngine } from '../harness/engine.ts';
import { startHub } from '../harness/hub.ts';
import { run } from '../harness/program.ts';

const httpd = 'busybox httpd -f -p 8080 -h /var/www';

describe('people share images', () => {
  test('one builds, runs and pushes; another, on an engine of their own, pulls and runs it', async () => {
    await using hub = await startHub();
    await hub.addUser('ana', 'correct horse');
    await hub.addUser('ben', 'staple battery');
    await using ana = await startEngine();
    await using ben = await startEngine();
    const image = `${hub.address}/ana/site:v1`;
    const context = `${ana.root}/context`;
    mkdirSync(context);
    writeFileSync(`${context}/index.html`, 'Hello from ana\n');
    writeFileSync(
      `${context}/Dockerfile`,
      `FROM busybox\nCOPY index.html /var/www/\nUSER 1000\nEXPOSE 8080\nCMD ["sh", "-c", "${httpd}"]\n`,
    );
    const login = (engine: typeof ana, name: string, password: string) =>
      engine.gantry(['login', hub.address, '-u', name, '--password-stdin'], { input: password });

    const wrong = await login(ana, 'ana', 'wrong password');
    const unknown = await login(ana, 'nobody', 'wrong password');
    assert.notEqual(wrong.code, 0);
    assert.equal(wrong.stderr.replaceAll('ana', 'X'), unknown.stderr.replaceAll('nobody', 'X'));
    assert.match((await login(ana, 'ana', 'correct horse')).stdout, /Login Succeeded/);
    assert.match((await login(ben, 'ben', 'staple battery')).stdout, /Login Succeeded/);

    const built = await ana.gantry(['build', '-t', image, context]);
    assert.equal(built.code, 0, built.stderr);
    assert.match(built.stdout, new RegExp(`Successfully tagged ${image}`));
    const pushed = await ana.gantry(['push', image]);
    assert.equal(pushed.code, 0, pushed.stderr);
    const digest = /v1: digest: (sha256:[0-9a-f]{64}) size: \d+/.exec(pushed.stdout)?.[1];
    assert.ok(digest, pushed.stdout);

    const started = await ben.gantry(['run', '-d', '--name', 'site', '-p', '127.0.0.1::8080', image]);
    assert.equal(started.code, 0, started.stderr);
    assert.match(started.stderr, /Unable to find image .* locally/);
    assert.match(started.stderr, new RegExp(`Digest: ${digest}`));
    const address = (await ben.gantry(['port', 'site', '8080/tcp'])).stdout.trim();
    const answer = await run('curl', [
      '-sS',
      '--retry',
      '20',
      '--retry-connrefused',
      '--retry-delay',
      '0',
      `http://${address}/`,
    ]);
    assert.equal(answer.stdout, 'Hello from ana\n', answer.stderr);

    await ben.gantry(['tag', image, `${hub.address}/ana/site:stolen`]);
    const stolen = await ben.gantry(['push', `${hub.address}/ana/site:stolen`]);
    assert.equal(stolen.code, 1);
    assert.match(stolen.stderr, /ben may not push ana\/site/);
    const absent = await ben.gantry(['pull', `${hub.address}/ana/site:v9`]);
    assert.equal(absent.code, 1);
    assert.match(absent.stderr, /v9.*not found|manifest unknown/i);
    await ben.gantry(['rm', '-f', 'site']);
  });
});
