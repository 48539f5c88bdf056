import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { cgroupDirectories, removeCgroup } from '../harness/cgroups.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { contextFolder, type Files } from './context-folder.ts';

let engine: Engine;
before(async () => {
  engine = await startEngine();
});
after(() => engine[Symbol.asyncDispose]());

const contextOf = (files: Files) => contextFolder(engine, files);
const build = (files: Files, args: readonly string[] = [], env = {}) =>
  engine.gantry(['build', '--progress=plain', ...args, contextOf(files)], { env });
async function built(files: Files, args: readonly string[] = [], env = {}): Promise<string> {
  const { code, stdout, stderr } = await build(files, args, env);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}
const inImage = async (tag: string, command: string): Promise<string> => {
  const { code, stdout, stderr } = await engine.gantry(['run', '--rm', tag, 'sh', '-c', command]);
  assert.equal(code, 0, stderr);
  return stdout;
};

test('RUN --mount=type=bind: context, stage and image; read-only unless asked, and nothing of it stays', async () => {
  const Dockerfile = `FROM busybox AS other
RUN mkdir /made && echo from-stage > /made/file
FROM busybox
RUN --mount=target=/ctx --mount=type=bind,from=other,source=/made,target=/stage \\
    --mount=type=bind,source=sub/one,target=/single --mount=type=bind,from=busybox,source=/etc,target=/image/etc \\
    cat /ctx/sub/one /stage/file /single > /result && ls /ctx > /listing && test -e /image/etc/passwd \\
    && ! touch /ctx/no 2>/dev/null
RUN --mount=type=bind,target=/rw,rw echo new > /rw/sub/one && cat /rw/sub/one > /written
RUN --mount=type=tmpfs,target=/scratch,size=1m touch /scratch/x && ! dd if=/dev/zero of=/scratch/big bs=1M count=2 2>/dev/null
`;
  const files = { Dockerfile, 'sub/one': 'one\n', hidden: '', '.dockerignore': 'hidden\n' };
  await built(files, ['-t', 'binds']);
  assert.equal(await inImage('binds', 'cat /result'), 'one\nfrom-stage\none\n');
  assert.equal(await inImage('binds', 'cat /listing'), 'Dockerfile\nsub\n');
  assert.equal(await inImage('binds', 'cat /written'), 'new\n');
  const root = (await inImage('binds', 'ls /')).split('\n');
  for (const name of ['ctx', 'stage', 'single', 'image', 'rw', 'scratch']) assert.ok(!root.includes(name), name);
  // What is bound is part of the key.
  const again = await built(files);
  assert.doesNotMatch(again, /not cached/);
  const changed = await built({ ...files, 'sub/one': 'two\n' });
  assert.match(changed, /not cached: what is mounted was/);
});

test('a hostile mount source stays inside its tree', async () => {
  writeFileSync(`${engine.root}/outside`, 'host');
  const context = contextOf({ Dockerfile: 'FROM busybox\nRUN --mount=type=bind,source=link,target=/m cat /m\n' });
  symlinkSync(`${engine.root}/outside`, `${context}/link`);
  const led = await engine.gantry(['build', context]);
  assert.match(led.stderr, /link/);
  assert.doesNotMatch(led.stdout, /host/);
  const climbing = await build({ Dockerfile: 'FROM busybox\nRUN --mount=type=bind,source=../..,target=/m ls /m\n' });
  assert.match(climbing.stderr, /forbidden path outside the build context/);
  const swapped = await build({
    Dockerfile: `FROM busybox AS evil
RUN mkdir /a && ln -s ${engine.root} /a/out
FROM busybox
RUN --mount=type=bind,from=evil,source=/a/out,target=/m cat /m/outside
`,
  });
  assert.notEqual(swapped.code, 0);
  assert.doesNotMatch(swapped.stdout, /^#\d+ [\d.]+ host/m);
});

test('RUN --mount=type=cache survives between builds, by id, with an owner and a first content', async () => {
  const Dockerfile = (n: number) => `FROM busybox
RUN mkdir /seed && echo seeded > /seed/s
FROM busybox
RUN --mount=type=cache,id=c,target=/cache,mode=0777,uid=5,gid=6,from=0,source=/seed \\
    cat /cache/s && ls -ldn /cache | cut -c1-50 && echo ${n} >> /cache/log && cat /cache/log > /seen
`;
  const first = await built({ Dockerfile: Dockerfile(1) }, ['-t', 'cached']);
  assert.match(first, /seeded/);
  assert.match(first, /drwxrwxrwx\s+\d+ 5\s+6/);
  await built({ Dockerfile: Dockerfile(2) }, ['-t', 'cached']);
  assert.equal(
    await inImage('cached', 'cat /seen; ls -d /cache 2>&1 || true'),
    '1\n2\nls: /cache: No such file or directory\n',
  );
});

test('a cache mount can be taken out and brought to another id', async () => {
  await built({ Dockerfile: 'FROM busybox\nRUN --mount=type=cache,id=from,target=/c echo kept > /c/file\n' });
  const archive = `${engine.root}/mount.tar`;
  assert.equal((await engine.gantry(['builder', 'export-mount', '-o', archive, 'from'])).code, 0);
  const { code, stderr } = await engine.gantry(['builder', 'import-mount', '-i', archive, 'to']);
  assert.equal(code, 0, stderr);
  await built({ Dockerfile: 'FROM busybox\nRUN --mount=type=cache,id=to,target=/c cp /c/file /got\n' }, [
    '-t',
    'brought',
  ]);
  assert.equal(await inImage('brought', 'cat /got'), 'kept\n');
  assert.match((await engine.gantry(['builder', 'export-mount', 'nothing'])).stderr, /no cache mount "nothing"/);
});

test('cache mounts lock as they are asked to: two builds share, wait, or get one each', async () => {
  const Dockerfile = (sharing: string, n: number) => `FROM busybox
RUN --mount=type=cache,id=${sharing},target=/c,sharing=${sharing} \\
    echo ${n} > /c/${n} && i=0; while [ $i -lt ${sharing === 'shared' ? 60 : 6} ]; do i=$((i+1)); [ -e /c/$((3-${n})) ] && break; sleep 0.05; done; ls /c > /seen; rm /c/${n}
`;
  const together = async (sharing: string) => {
    await Promise.all([1, 2].map((n) => built({ Dockerfile: Dockerfile(sharing, n) }, ['-t', `${sharing}${n}`])));
    const seen = await Promise.all([1, 2].map((n) => inImage(`${sharing}${n}`, 'cat /seen')));
    return seen.map((text) => text.trim().split('\n').length);
  };
  assert.deepEqual(await together('locked'), [1, 1]);
  assert.deepEqual(await together('private'), [1, 1]);
  assert.ok((await together('shared')).includes(2));
});

test('a secret reaches its step as a file or variable, and no blob, layer, log, cache key or database', async () => {
  const value = `s3cret-${'x'.repeat(20)}`;
  writeFileSync(`${engine.root}/secret`, value);
  const Dockerfile = `FROM busybox
RUN --mount=type=secret,id=token --mount=type=secret,id=var,env=VAR,required=true \\
    --mount=type=secret,id=token,target=/etc/deep/t,mode=0444,uid=7 \\
    sha256sum < /run/secrets/token > /sum && test "$VAR" = "$(cat /etc/deep/t)" && ls -ln /etc/deep/t | cut -c1-20 > /mode
RUN ! env | grep -q VAR= && test ! -e /run/secrets/token
`;
  const args = ['-t', 'secret', '--secret', `id=token,src=${engine.root}/secret`, '--secret', 'id=var,env=MY_VAR'];
  const output = await built({ Dockerfile }, args, { MY_VAR: value });
  assert.doesNotMatch(output, /s3cret/);
  assert.match(await inImage('secret', 'cat /mode'), /^-r--r--r--/);
  assert.equal(await inImage('secret', 'ls -d /run /etc/deep 2>/dev/null || true'), '');
  const found = execFileSync(
    'sh',
    [
      '-c',
      `rm ${engine.root}/secret; grep -rlaF s3cret- ${engine.root} || true; for f in ${engine.root}/data/content/blobs/sha256/*; do gzip -dc "$f" 2>/dev/null | grep -qaF s3cret- && echo "$f"; done || true`,
    ],
    { encoding: 'utf8' },
  );
  assert.equal(found, '');
  assert.doesNotMatch(engine.output(), /s3cret/);
  // Another value is not another result.
  const other = await built({ Dockerfile }, ['--secret', 'id=token,env=MY_VAR', '--secret', 'id=var,env=MY_VAR'], {
    MY_VAR: 'other',
  });
  assert.doesNotMatch(other, /not cached/);
  const missing = await build({ Dockerfile: Dockerfile.replace('/sum', '/other') });
  assert.match(missing.stderr, /Dockerfile:2:\d+: secret var: not found; give it with --secret/);
});

/** Says its argument to the agent, and prints the answer: there is no ssh in the test's image. */
const talkSource = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv) {
  struct sockaddr_un to = { .sun_family = AF_UNIX };
  strcpy(to.sun_path, getenv("SSH_AUTH_SOCK"));
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (argc < 2 || connect(fd, (void *)&to, sizeof to) != 0) return perror("connect"), 1;
  write(fd, argv[1], strlen(argv[1]));
  char answer[256];
  ssize_t length = read(fd, answer, sizeof answer - 1);
  if (length <= 0) return 1;
  answer[length] = 0;
  return puts(answer) < 0;
}
`;

test('RUN --mount=type=ssh reaches the agent behind the client', async () => {
  const { createServer } = await import('node:net');
  const socket = `${engine.root}/agent.sock`;
  const agent = createServer((connection) => {
    connection.once('data', (data) => connection.end(`agent heard ${data}`));
  }).listen(socket);
  try {
    const talk = `${engine.root}/talk`;
    execFileSync('gcc', ['-static', '-x', 'c', '-o', talk, '-'], { input: talkSource });
    const Dockerfile = `FROM busybox
RUN --mount=type=ssh --mount=type=bind,source=talk,target=/talk for i in 1 2 3; do /talk "hello $i"; done > /heard
RUN test -z "$SSH_AUTH_SOCK"
`;
    await built({ Dockerfile, talk: readFileSync(talk, 'latin1') }, ['-t', 'ssh', '--ssh', 'default'], {
      SSH_AUTH_SOCK: socket,
    });
    assert.equal(await inImage('ssh', 'cat /heard'), 'agent heard hello 1\nagent heard hello 2\nagent heard hello 3\n');
    const without = await build({ Dockerfile: 'FROM busybox\nRUN --mount=type=ssh,required true\n' });
    assert.match(without.stderr, /ssh agent default: not given/);
  } finally {
    agent.close();
  }
});

test('--ssh with key files: their signatures reach the step, the keys do not', async () => {
  const key = `${engine.root}/key`;
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'comment-of-the-key', '-f', key]);
  // SSH_AGENTC_REQUEST_IDENTITIES (draft-miller-ssh-agent): a length, and one byte.
  const list = talkSource
    .replace('write(fd, argv[1], strlen(argv[1]));', 'write(fd, "\\0\\0\\0\\1\\x0b", 5);')
    .replace('return puts(answer) < 0;', 'return fwrite(answer, 1, length, stdout) == 0;');
  const talk = `${engine.root}/list`;
  execFileSync('gcc', ['-static', '-x', 'c', '-o', talk, '-'], { input: list });
  const Dockerfile = `FROM busybox
RUN --mount=type=ssh,id=mine --mount=type=bind,source=talk,target=/talk /talk x > /heard
`;
  await built({ Dockerfile, talk: readFileSync(talk, 'latin1') }, ['-t', 'keys', '--ssh', `mine=${key}`]);
  assert.match(await inImage('keys', 'cat /heard'), /ssh-ed25519[\s\S]*comment-of-the-key/);
  assert.deepEqual(
    readdirSync(tmpdir()).filter((name) => name.startsWith('gantry-keys-')),
    [],
  );
  const { stderr } = await build({ Dockerfile }, ['--ssh', `mine=${engine.root}/nowhere`]);
  assert.match(stderr, /there is no socket or key file ".*nowhere"/);
});

test('limits, hosts and entitlements of a build hold in its steps', async () => {
  const Dockerfile = `FROM busybox
RUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; grep extra /etc/hosts; \\
    ulimit -n; df -k /dev/shm | tail -1; cat /sys/fs/cgroup/cpu/cpu.shares 2>/dev/null; true
`;
  const output = await built({ Dockerfile }, [
    ...['--memory', '64m', '--add-host', 'extra:10.9.8.7', '--ulimit', 'nofile=64:128', '--shm-size', '2m'],
    ...['--cpu-shares', '512', '--cpu-period', '50000', '--cpu-quota', '25000', '--cpuset-cpus', '0'],
  ]);
  for (const expected of [/ 67108864\n/, /10\.9\.8\.7\s+extra/, / 64\n/, /\s2048\s/]) assert.match(output, expected);
  const insecure = {
    Dockerfile: 'FROM busybox\nRUN --security=insecure mount -t tmpfs x /mnt && rmdir /mnt 2>/dev/null; true\n',
  };
  assert.match((await build(insecure)).stderr, /needs a build with --allow security\.insecure/);
  await built(insecure, ['--allow', 'security.insecure']);
  const host = { Dockerfile: 'FROM busybox\nRUN --network=host ip link\nRUN --network=none ! ip link | grep eth0\n' };
  assert.match((await build(host)).stderr, /needs a build with --network host or --allow network\.host/);
  await built(host, ['--allow', 'network.host']);
  const parent = `gantry-steps-${process.pid}`;
  try {
    const own = { Dockerfile: 'FROM busybox\nRUN cat /proc/self/mountinfo\n' };
    await built(own, ['--cgroup-parent', parent]);
    assert.ok(cgroupDirectories(`/${parent}`).length > 0);
  } finally {
    removeCgroup(`/${parent}`);
  }
  const { status, text } = await engine.api('POST', '/build?isolation=hyperv', Buffer.from(''));
  assert.equal(status, 501, text);
});

test('a heredoc with #! is a program, and no build leaves anything mounted or lying about', async () => {
  const said = await built({ Dockerfile: 'FROM busybox\nRUN <<EOF\n#!/bin/cat\nthe program is its own text\nEOF\n' });
  assert.match(said, /#!\/bin\/cat\n.*the program is its own text\n/);
  assert.deepEqual(readdirSync(`${engine.root}/data/builder/builds`), []);
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(`${engine.root}/data/builder`));
});
