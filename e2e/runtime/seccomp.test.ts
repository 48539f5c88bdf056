import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { check, kernel } from '#linux/index.ts';
import type { Seccomp, SeccompRule } from '#oci/index.ts';
import { listenForDescriptor } from '../harness/descriptor-socket.ts';
import { finish, Workbench } from './workbench.ts';

const allowAllBut = (...syscalls: readonly SeccompRule[]): Seccomp => ({ defaultAction: 'SCMP_ACT_ALLOW', syscalls });

test('actions and 64-bit argument comparisons hold', async () => {
  await using bench = new Workbench();
  const errno = await bench.run(['sh', '-c', 'chmod 700 /tmp; umask 022; echo end'], {
    linux: { seccomp: allowAllBut({ names: ['chmod', 'fchmodat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }) },
  });
  assert.match(errno.stderr, /No space left on device/);
  assert.equal(errno.stdout, 'end\n');
  const killed = await bench.run(['chmod', '700', '/tmp'], {
    linux: { seccomp: allowAllBut({ names: ['chmod', 'fchmodat'], action: 'SCMP_ACT_KILL_PROCESS' }) },
  });
  assert.equal(killed.code, 128 + 31);
  // ftruncate(fd, 2^53 + 1): one that a double would round to 2^53.
  const length = (value: bigint) => ({
    linux: {
      seccomp: allowAllBut({
        names: ['ftruncate'],
        action: 'SCMP_ACT_ERRNO' as const,
        errnoRet: 28,
        args: [{ index: 1, value, op: 'SCMP_CMP_EQ' as const }],
      }),
    },
  });
  const truncate = ['truncate', '-s', String(2n ** 53n + 1n), '/dev/shm/x'];
  assert.match((await bench.run(truncate, length(2n ** 53n + 1n))).stderr, /No space left/);
  assert.doesNotMatch((await bench.run(truncate, length(2n ** 53n))).stderr, /No space left/);
});

// linux/seccomp.h: SECCOMP_IOCTL_NOTIF_RECV and _SEND over struct seccomp_notif (80 bytes) and _resp (24).
const receiveNotice = 0xc0502100;
const sendAnswer = 0xc0182101;

test('an agent gets the listener with the container’s state, and decides on calls', async () => {
  await using bench = new Workbench();
  const listenerPath = `${bench.directory}/agent.sock`;
  using socket = listenForDescriptor(listenerPath);
  const received = socket.receive();
  const task = await bench.create(['sh', '-c', 'chmod 700 /tmp; echo end'], {
    spec: { annotations: { mark: 'here' } },
    linux: {
      seccomp: {
        ...allowAllBut({ names: ['chmod', 'fchmodat'], action: 'SCMP_ACT_NOTIFY' }),
        listenerPath,
        listenerMetadata: 'for the agent',
        flags: ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV', 'SECCOMP_FILTER_FLAG_LOG'],
      },
    },
  });
  const ended = finish(task);
  const { fd, text } = await received;
  const state = { ociVersion: '1.2.0', id: 'c0', status: 'creating', pid: task.pid, bundle: bench.taskDirectory('c0') };
  assert.deepEqual(JSON.parse(text), {
    ociVersion: '1.2.0',
    fds: ['seccompFd'],
    pid: task.pid,
    metadata: 'for the agent',
    state: { ...state, annotations: { mark: 'here' } },
  });
  const notice = Buffer.alloc(80);
  check(await kernel.callAsync('ioctl', fd, receiveNotice, notice), 'ioctl', 'receiving a notice');
  const answer = Buffer.alloc(24);
  answer.writeBigUInt64LE(notice.readBigUInt64LE(0), 0);
  answer.writeInt32LE(-28, 16);
  check(kernel.call('ioctl', fd, sendAnswer, answer), 'ioctl', 'answering');
  kernel.call('close', fd);
  const { stdout, stderr } = await ended;
  assert.match(stderr, /No space left on device/);
  assert.equal(stdout, 'end\n');
});

test('an agent is told of an exec into the container that runs', async () => {
  await using bench = new Workbench();
  const listenerPath = `${bench.directory}/agent.sock`;
  using socket = listenForDescriptor(listenerPath);
  const seccomp = { ...allowAllBut({ names: ['chmod'], action: 'SCMP_ACT_NOTIFY' }), listenerPath };
  let received = socket.receive();
  const task = await bench.create(['sleep', '60'], { linux: { seccomp } });
  await task.start();
  kernel.call('close', (await received).fd);
  received = socket.receive();
  const exec = await task.exec({
    id: 'e',
    directory: bench.taskDirectory('e'),
    process: bench.process(['true']),
    stdio: { terminal: false, stdin: false },
  });
  const { pid } = exec;
  await finish(exec);
  const { fd, text } = await received;
  kernel.call('close', fd);
  const told = JSON.parse(text) as { pid: number; state: { status: string } };
  assert.deepEqual([told.pid, told.state.status], [pid, 'running']);
});

test('an agent that is not there, or could not work, is told at create', async () => {
  await using bench = new Workbench();
  const refused = (seccomp: Partial<Seccomp>, message: RegExp) =>
    assert.rejects(
      bench.create(['true'], {
        linux: { seccomp: { ...allowAllBut({ names: ['chmod'], action: 'SCMP_ACT_NOTIFY' }), ...seccomp } },
      }),
      { message },
    );
  await refused({ listenerPath: '/no/such.sock' }, /connecting to the seccomp agent \(\/no\/such\.sock\)/);
  await refused({}, /SCMP_ACT_NOTIFY needs seccomp\.listenerPath/);
  await refused({ defaultAction: 'SCMP_ACT_NOTIFY', listenerPath: '/x' }, /cannot decide on every call/);
  await refused({ syscalls: [], listenerMetadata: 'x' }, /listenerMetadata is given without/);
});

const otherInterface = String.raw`
#include <stdio.h>
int main(void) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory"); // getpid, as 32-bit programs have it
  printf("%ld\n", result);
  return 0;
}
`;

test('calls by the interface of 32-bit programs hold by their own rules, or kill', {
  skip: process.arch !== 'x64',
}, async () => {
  await using bench = new Workbench();
  execFileSync('cc', ['-static', '-x', 'c', '-o', `${bench.rootfs}/other`, '-'], { input: otherInterface });
  const run = (seccomp: Seccomp) => bench.run(['/other'], { linux: { seccomp } });
  const both = ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'];
  assert.equal((await run({ ...allowAllBut(), architectures: both })).stdout, '1\n');
  const refused = allowAllBut({ names: ['getpid'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 });
  assert.equal((await run({ ...refused, architectures: both })).stdout, '-28\n');
  assert.equal((await run(allowAllBut())).code, 128 + 31);
});
