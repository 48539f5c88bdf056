import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Mount } from '#oci/index.ts';
import { defaultSeccompProfile } from '#runtime/index.ts';
import { capabilities, finish, outputUntil, type Wish, Workbench } from './workbench.ts';

const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const types = ['mount', 'pid', 'ipc', 'uts', 'cgroup', 'network', 'user'] as const;

/** A wish for a container in a user namespace of its own, over an idmapped root. */
function mapped(bench: Workbench, wish: Wish = {}): Wish {
  const ids = { uidMappings: mappings, gidMappings: mappings };
  return {
    rootfs: [{ destination: '/', type: 'bind', source: bench.rootfs, options: ['rbind'], ...ids }],
    ...wish,
    linux: { namespaces: types.map((type) => ({ type })), ...ids, ...wish.linux },
  };
}

test('a container in a user namespace is root inside and nobody outside; its files are as on disk', async () => {
  await using bench = new Workbench();
  const task = await bench.create(
    ['sh', '-c', 'id -u; cat /proc/self/uid_map; stat -c %u:%g /etc; echo new > /made; read x'],
    mapped(bench, { stdio: { stdin: true, stdinOnce: true } }),
  );
  const io = await task.attach();
  await task.start();
  const output = io.output[Symbol.asyncIterator]();
  assert.match(await outputUntil(output, /0:0\n/), /^0\n\s*0\s+100000\s+65536\n0:0\n$/);
  assert.match(readFileSync(`/proc/${task.pid}/status`, 'utf8'), /^Uid:\t100000\t100000/m);
  assert.notEqual(readlinkSync(`/proc/${task.pid}/ns/user`), readlinkSync('/proc/self/ns/user'));
  const exec = await task.exec({
    id: 'e',
    directory: bench.taskDirectory('e'),
    process: bench.process(['sh', '-c', 'id -u; echo to > /dev/stdout; cat /proc/self/status | grep ^Cap'], {
      user: { uid: 1000, gid: 1000 },
      capabilities: {},
    }),
    stdio: { terminal: false, stdin: false },
  });
  const inside = await finish(exec);
  assert.match(inside.stdout, /^1000\nto\n/, inside.stderr);
  io.stdin.end('\n');
  await task.wait();
  assert.equal(statSync(`${bench.rootfs}/made`).uid, 0);
  await io[Symbol.asyncDispose]();
});

test('every namespace belongs to the user namespace: network, hostname, mounts and sysctls are its own', async () => {
  await using bench = new Workbench();
  const admin = [...capabilities, 'CAP_SYS_ADMIN', 'CAP_NET_ADMIN'];
  const out = await bench.shell(
    'ip link set lo up && ip link show lo | grep -o "<LOOPBACK,UP"; hostname other && hostname; mkdir -p /mnt; mount -t tmpfs x /mnt && echo mounted; ' +
      'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni; ls -ln /dev/null | cut -c1-10; echo x > /dev/null && echo null; ls /dev/pts /dev/mqueue; head -c2 /dev/zero | wc -c',
    mapped(bench, {
      process: { capabilities: { bounding: admin, effective: admin, permitted: admin } },
      linux: {
        seccomp: defaultSeccompProfile(admin),
        sysctl: { 'net.ipv4.ip_unprivileged_port_start': '80', 'kernel.shmmni': '1234' },
      },
    }),
  );
  assert.match(
    out,
    /^<LOOPBACK,UP\nother\nmounted\n80\n1234\ncrw-rw-rw-\nnull\n\/dev\/mqueue:\n\n\/dev\/pts:\nptmx\n2\n$/,
  );
});

test('a terminal, limits and a user in a user namespace', async () => {
  await using bench = new Workbench();
  const task = await bench.create(
    ['sh', '-c', 'tty; ulimit -n; id -u; stat -c %u /dev/console'],
    mapped(bench, {
      stdio: { terminal: true },
      process: {
        user: { uid: 7, gid: 8 },
        capabilities: {},
        rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }],
        oomScoreAdj: 300,
      },
    }),
  );
  assert.equal((await finish(task)).stdout, '/dev/pts/0\r\n100\r\n7\r\n7\r\n');
});

test('an overlay of idmapped layers: the container writes as root, the disk has plain owners', async () => {
  await using bench = new Workbench();
  const layer = `${bench.directory}/layer`;
  mkdirSync(`${layer}/data`, { recursive: true });
  writeFileSync(`${layer}/data/file`, 'from below');
  chownSync(`${layer}/data/file`, 1000, 1000);
  for (const name of ['upper', 'work']) mkdirSync(`${bench.directory}/${name}`);
  const overlay: Mount = {
    destination: '/',
    type: 'overlay',
    source: 'overlay',
    options: [
      `lowerdir=${layer}:${bench.rootfs}`,
      `upperdir=${bench.directory}/upper`,
      `workdir=${bench.directory}/work`,
    ],
    uidMappings: mappings,
    gidMappings: mappings,
  };
  const out = await bench.shell(
    'stat -c %u /data/file /etc; echo more >> /data/file; echo new > /data/new; chown 5:6 /data/new; rm -r /root; mkdir /root',
    mapped(bench, { rootfs: [overlay] }),
  );
  assert.equal(out, '1000\n0\n');
  assert.equal(readFileSync(`${bench.directory}/upper/data/file`, 'utf8'), 'from belowmore\n');
  assert.equal(statSync(`${bench.directory}/upper/data/file`).uid, 1000);
  assert.equal(statSync(`${bench.directory}/upper/data/new`).uid, 5);
  assert.equal(statSync(`${bench.directory}/upper/root`).uid, 0);
});
