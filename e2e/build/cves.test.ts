// Attacks on other builders that must fail on this one, titled by CVE.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { contextFolder, type Files } from './context-folder.ts';

let engine: Engine;
let host: string;
before(async () => {
  engine = await startEngine();
  host = `${engine.root}/host`;
  mkdirSync(`${host}/victim`, { recursive: true });
  writeFileSync(`${host}/marker`, 'of the host\n');
});
after(() => engine[Symbol.asyncDispose]());

const build = (files: Files, ...args: readonly string[]) =>
  engine.gantry(['build', '--progress=plain', ...args, contextFolder(engine, files)]);
async function built(files: Files, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await build(files, ...args);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

test('CVE-2024-23651: a cache mount whose source is swapped while another build mounts it leads nowhere else', async () => {
  const swapping = build({
    Dockerfile: `FROM busybox
RUN --mount=type=cache,id=race,target=/c i=0; while [ $i -lt 3000 ] && ! [ -e /c/over ]; do i=$((i+1)); \\
  mkdir -p /c/sub; mv /c/sub /c/aside; ln -s ${host} /c/sub; rm /c/sub; rmdir /c/aside; done
`,
  });
  const read = async (n: number) => {
    const { stdout, stderr } = await build({
      Dockerfile: `FROM busybox\nRUN --mount=type=cache,id=race,source=sub,target=/m echo ${n}; cat /m/marker || true\n`,
    });
    assert.doesNotMatch(stdout + stderr, /of the host/);
  };
  for (let n = 0; n < 4; n++) await read(n);
  await built({ Dockerfile: 'FROM busybox\nRUN --mount=type=cache,id=race,target=/c touch /c/over\n' });
  await swapping;
});

test('CVE-2024-23652: what a step puts in place of a mount point is not removed for it on the host', async () => {
  await built({
    Dockerfile: `FROM busybox
RUN --mount=type=tmpfs,target=/dir/victim mkdir /other && ln -s ${host} /other/dir && ls /dir
RUN --mount=type=cache,target=/a/b/victim true
RUN ln -s ${host} /link
RUN --mount=type=tmpfs,target=/link/victim true
RUN --mount=type=tmpfs,target=/x/victim umount /x/victim 2>/dev/null; rm -rf /x 2>/dev/null; ln -s ${host} /x 2>/dev/null; true
`,
  });
  assert.deepEqual(readdirSync(host).sort(), ['marker', 'victim']);
});

test('CVE-2024-23653: no path to a privileged step leads past the entitlement', async () => {
  const insecure = 'RUN --security=insecure echo it was run';
  await built({ Dockerfile: `FROM busybox\nONBUILD ${insecure}\n` }, '-t', 'trigger');
  for (const Dockerfile of [
    `FROM busybox\n${insecure}\n`,
    'FROM trigger\n',
    `FROM busybox AS a\n${insecure}\nFROM busybox\nCOPY --from=a /etc/passwd /p\n`,
    `FROM busybox AS a\n${insecure}\nFROM busybox\nRUN --mount=from=a,target=/a true\n`,
  ])
    for (const args of [[], ['--allow', 'network.host'], ['--network', 'host']]) {
      const { code, stdout, stderr } = await build({ Dockerfile }, ...args);
      assert.notEqual(code, 0, Dockerfile);
      assert.match(stdout + stderr, /needs a build with --allow security\.insecure/);
      assert.doesNotMatch(stdout, /^#\d+ [\d.]+ it was run/m);
    }
  const { status, text } = await engine.api('POST', '/build?allow=%5B%22security.everything%22%5D', Buffer.from(''));
  assert.equal(status, 400, text);
});

test('CVE-2024-24557: an image that looks like a step’s result is none, and every instruction is part of the key', async () => {
  // The same history on another image, which is here under a name: it is no cache of anything.
  await built({ Dockerfile: 'FROM scratch\nCOPY f /f\n', f: 'good' }, '-t', 'good');
  const evil = 'FROM scratch\nCOPY f /f\nLABEL a=1\n';
  await built({ Dockerfile: evil, f: 'evil' }, '-t', 'evil');
  await built({ Dockerfile: evil, f: 'good' }, '-t', 'result');
  const exported = async (image: string) => {
    const { stdout } = await engine.gantry(['create', image, 'x']);
    return (await engine.gantry(['cp', `${stdout.trim()}:/f`, '-'])).stdout;
  };
  assert.match(await exported('result'), /good/);
  for (const [one, other] of [
    ['HEALTHCHECK CMD a', 'HEALTHCHECK CMD b'],
    ['ONBUILD RUN a', 'ONBUILD RUN b'],
    ['STOPSIGNAL SIGINT', 'STOPSIGNAL SIGTERM'],
    ['SHELL ["/a"]', 'SHELL ["/b"]'],
    ['VOLUME /a', 'VOLUME /b'],
  ] as const) {
    const id = async (line: string) =>
      (await engine.gantry(['build', '-q', contextFolder(engine, { Dockerfile: `FROM scratch\n${line}\n` })])).stdout;
    const [first, second] = [await id(one), await id(other)];
    assert.match(first, /^sha256:/);
    assert.notEqual(first, second, one);
    assert.equal(await id(one), first);
  }
});

test('CVE-2024-1753 (buildah): a mount source that is a link in its image stays in that image', async () => {
  await built(
    { Dockerfile: `FROM busybox\nRUN ln -s / /root-link && ln -s ${host} /host-link && ln -s ../../../../.. /up\n` },
    ...['-t', 'links'],
  );
  for (const source of ['/root-link', '/host-link', '/up', `/root-link${host}`, '/up/../../..']) {
    const { stdout, stderr } = await build({
      Dockerfile: `FROM busybox\nRUN --mount=type=bind,from=links,source=${source},target=/m,rw cat /m/marker /m${host}/marker; touch /m/written /m${host}/written; true\n`,
    });
    assert.doesNotMatch(stdout + stderr, /of the host$/m, source);
  }
  assert.deepEqual(readdirSync(host).sort(), ['marker', 'victim']);
  assert.ok(!existsSync('/written'));
});
